"""Telemetry: decode, check, write to the time series, note in the ledger, then acknowledge — in this order.

Theory of operation. Messages wait as they came in a bounded list. Writers, one or a few at a time, each take a flush's
worth (by count, bytes or age), write all rows of all homes in one go, then the proofs of their batches, and only then
answer. The SQL database is needed before the answer only for what must be remembered there: refused messages and
windows of closed roll-ups. If a store is away nothing is answered, the gateways keep their batches, and the list's
bound keeps this process small. Every step may happen twice without harm.
"""

from __future__ import annotations

import asyncio
import bisect
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from itertools import accumulate

import structlog
from sqlalchemy.exc import SQLAlchemyError

from cloud.context import Context
from cloud.ingest import quarantine
from cloud.ingest.acks import acks_for, encode_acks, pace_only
from cloud.ingest.doubt import FleetClock, contradicts, refused_for_time
from cloud.ingest.flow import Message, Pace, WaitingList, WriterLimit
from cloud.ingest.late import LateWindows
from cloud.ingest.ledger import Ledger
from cloud.ingest.reading import BatchReader, Reading, Row
from cloud.metrics import ACK_LATENCY, STORE_WRITE
from cloud.registry.gateways import GatewayDirectory, Route
from cloud.timeseries.base import Delivery, StoreError, StoreRefusedError, TimeSeriesStore
from protocols.errors import ProtocolError, Reason
from protocols.telemetry import TimeBounds
from protocols.wire import Ack

log = structlog.get_logger()

PublishMany = Callable[[Iterable[tuple[bytes, bytes]]], bool]
"""(topic, payload) pairs: hands them to the broker at QoS 0; False while there is no connection."""

_BACKOFF_LIMIT_S = 5.0
_TRIM_SHARE = 64
"""Quarantine is measured, which reads all of it, whenever a 64th of its limit has been added."""
_AGAIN_AFTER_S = 5.0
"""A batch says when it was first sent; younger than this it is no copy (gateways send again after 15 s)."""
_SLICE = 250
"""Messages read without a pause, so that an alarm in the same process never waits for a flush."""
MAX_SEQUENCE = 10**9
"""A batch a second for thirty years; a number beyond it is a defect and would look like an endless gap."""


class Flush:
    """Messages that are written together."""

    def __init__(self, messages: list[Message], since: float) -> None:
        self.messages = messages
        self.since = since
        self.routes: list[Route | None] = []
        self.readings: list[Reading] = []
        self.rows: list[Row] = []
        self.replayed = False
        """Whether it was held back before, so that what is known as stored may lack some of its values."""
        self.ahead_s = 0.0
        """How far the time taken for right is ahead of this process's clock."""


class TelemetryIngest:
    """Takes telemetry messages; `run` is handed what sends the acknowledgements."""

    def __init__(
        self, context: Context, store: TimeSeriesStore, directory: GatewayDirectory, counts: Counter[str]
    ) -> None:
        self._context = context
        self._store = store
        self._directory = directory
        self._counts = counts
        limits = context.config.ingest
        bounds = TimeBounds(limits.max_age_days * 86_400, limits.max_future_s)
        self.reader = BatchReader(bounds, lines=store.takes_lines)
        self.ledger = Ledger()
        self.waiting_list = WaitingList(limits)
        self.writers = WriterLimit(limits.max_writers)
        self.pace = Pace()
        self._next = asyncio.Lock()
        self._untrimmed = 0
        self.fleet_clock = FleetClock()
        self.store_problem: str | None = None

    def take(self, topic: str, payload: bytes, _retained: bool) -> None:
        """Keep one message for the next flush; past the bound it is dropped, counted, and sent again by its owner."""
        if not self.waiting_list.put((topic, payload)):
            self._counts["telemetry_overflow"] += 1

    @property
    def waiting(self) -> int:
        """Messages not yet stored."""
        return self.waiting_list.held

    async def run(self, publish: PublishMany) -> None:
        """Work until cancelled; at the end what was stored is merged into the ledger."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._context.config.ingest.max_writers + 1):
                    group.create_task(self._write_on(publish))
                group.create_task(self._checkpoint_on())
        finally:
            try:
                await self.ledger.checkpoint(self._context)
            except (SQLAlchemyError, OSError) as error:
                log.warning("ledger_not_merged", keys=len(self.ledger), error=str(error).partition("\n")[0])

    async def flush(self) -> dict[str, Ack]:
        """Store a flush's worth of what waits; returns the acknowledgement for each gateway. Raises StoreError."""
        flush = Flush(*self.waiting_list.take_now())
        await self._read(flush)
        await self._write(flush)
        await self._settle(flush)
        self.waiting_list.settle(flush.messages)
        await self.ledger.checkpoint(self._context)
        acks = acks_for(flush.routes, flush.readings, flush.messages, self._context.now(), None)
        return {route.gateway: ack for route, ack in acks.items()}

    async def store_one(self, topic: str, payload: bytes) -> list[ProtocolError]:
        """Store one message that was held back; returns what is still wrong with it. Raises StoreError.

        Its good values and its proof are stored either way, as of any message.
        """
        flush = Flush([(topic, payload)], 0.0)
        flush.replayed = True
        await self._read(flush)
        await self._write(flush)
        errors, flush.readings[0].errors = flush.readings[0].errors, []
        await self._settle(flush)
        await self.ledger.checkpoint(self._context)
        return errors

    async def _write_on(self, publish: PublishMany) -> None:
        while True:
            # One flush is read ahead while others are written; what comes meanwhile makes the next one larger.
            async with self._next:
                flush = Flush(*await self.waiting_list.take())
                if not flush.messages:
                    continue
                await self._persist(lambda: self._read(flush), publish, flush)  # noqa: B023 - awaited in this turn
                await self.writers.acquire()
            try:
                await self._persist(lambda: self._write(flush), publish, flush)  # noqa: B023
            finally:
                self.writers.release()
            await self._persist(lambda: self._settle(flush), publish, flush)  # noqa: B023
            self.waiting_list.settle(flush.messages)
            pace = self.pace.update(self.waiting_list.fill)
            publish(encode_acks(flush.routes, flush.readings, flush.messages, self._context.now(), pace))
            ACK_LATENCY.observe(time.monotonic() - flush.since)

    async def _persist(self, step: Callable[[], Awaitable[None]], publish: PublishMany, flush: Flush) -> None:
        """Do one step of a flush until it succeeds; meanwhile ask the gateways to go slowly."""
        failures = 0
        while True:
            try:
                await step()
                if failures:
                    self.store_problem = None
                    log.info("telemetry_goes_on", waiting=self.waiting)
                return
            except (StoreError, SQLAlchemyError, OSError) as error:
                failures += 1
                self.writers.failed()
                self._counts["telemetry_store_error"] += 1
                self.store_problem = str(error).partition("\n")[0][:300]
                log.warning("telemetry_waits", waiting=self.waiting, error=self.store_problem)
                if failures == 1:
                    pace = self.pace.update(self.waiting_list.fill, failing=True)
                    publish(pace_only(flush.routes, flush.readings, self._context.now(), pace))
                await asyncio.sleep(min(_BACKOFF_LIMIT_S, 0.25 * 2 ** min(failures, 6)))

    async def _checkpoint_on(self) -> None:
        while True:
            await asyncio.sleep(self._context.config.ingest.ledger_interval_s)
            try:
                await self.ledger.checkpoint(self._context)
            except (SQLAlchemyError, OSError) as error:
                self._counts["ledger_error"] += 1
                log.warning("ledger_waits", keys=len(self.ledger), error=str(error).partition("\n")[0])

    async def _read(self, flush: Flush) -> None:
        await self._directory.refresh()
        now = self._context.now()
        await self._read_at(flush, now)
        self.fleet_clock.note(flush.routes, flush.readings)
        if refused_for_time(flush.readings):
            theirs = self.fleet_clock.now()
            theirs = theirs if theirs is not None else await self._store.clock()
            if theirs is not None and contradicts(theirs, now):
                self._counts["clock_doubted"] += 1
                log.error("clock_doubted", behind_s=round(theirs - now, 1))
                await self._read_at(flush, theirs)
                flush.ahead_s = theirs - now
        for reading in flush.readings:
            for found in reading.errors:
                self._counts[f"rejected_{found.reason}"] += 1

    async def _read_at(self, flush: Flush, now: float) -> None:
        flush.routes, flush.readings, flush.rows = [], [], []
        read, route_of = self.reader.read, self._directory.route
        limits = self._context.config.ingest
        came_again = now - _AGAIN_AFTER_S
        oldest, newest = now - limits.max_age_days * 86_400, now + limits.max_future_s
        for i, (topic, payload) in enumerate(flush.messages):
            if i % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            route: Route | None = None
            try:
                route = route_of(topic)
                reading = read(route.home, payload, now)
            except ProtocolError as error:
                reading = Reading(errors=[error])
            if (reading.seq > MAX_SEQUENCE or not oldest <= reading.sent <= newest) and reading.epoch:
                reading = Reading(sent=reading.sent, lane=reading.lane, errors=[self._implausible(reading, now)])
            if route is not None and reading.sent < came_again and not (reading.errors or flush.replayed):
                self._pass_over(route, reading)
            if route is not None and reading.rows:
                flush.rows += reading.rows
            flush.routes.append(route)
            flush.readings.append(reading)

    def _pass_over(self, route: Route, reading: Reading) -> None:
        """Write nothing for a batch that came again because its acknowledgement was late or lost.

        A platform that has fallen behind is sent many of these, and writing them again would keep it there.
        """
        if reading.epoch and self.ledger.holds((route.gateway, reading.epoch, reading.lane), reading.seq):
            reading.rows, reading.stored_before = [], True

    def _implausible(self, reading: Reading, now: float) -> ProtocolError:
        """A batch whose place or time cannot be right; its proof could not be stored, or would hide others."""
        if reading.seq > MAX_SEQUENCE:
            return ProtocolError(Reason.BAD_SEQUENCE, "telemetry.seq", f"{reading.seq} is above {MAX_SEQUENCE}")
        if reading.sent > now:
            return ProtocolError(Reason.IN_FUTURE, "telemetry.sent", f"lies {reading.sent - now:.0f} s ahead")
        return ProtocolError(Reason.TOO_OLD, "telemetry.sent", f"is {now - reading.sent:.0f} s old")

    async def _write(self, flush: Flush) -> None:
        stored = [
            (route, r)
            for route, r in zip(flush.routes, flush.readings, strict=True)
            if route is not None and r.epoch and not r.stored_before
        ]
        deliveries = [
            Delivery(route.home, route.gateway, r.epoch, r.lane, r.seq, round(r.sent * 1000), r.count)
            for route, r in stored
        ]
        begun = time.monotonic()
        try:
            await self._store.write(flush.rows, deliveries)
        except StoreRefusedError as refused:
            self._blame(flush, refused, [r for _, r in stored])
        took = time.monotonic() - begun
        STORE_WRITE.observe(took)
        self.writers.wrote(len(flush.rows) + len(deliveries), took)
        self._counts["telemetry_batches"] += len(deliveries)
        self._counts["telemetry_points"] += len(flush.rows)
        self._counts["telemetry_values"] += sum(r.count - len(r.errors) for _, r in stored)
        if flush.messages:
            self._counts["telemetry_messages"] += len(flush.messages)

    def _blame(self, flush: Flush, refused: StoreRefusedError, stored: list[Reading]) -> None:
        """Find the messages whose rows, or whose proofs, the store refused."""
        ends = list(accumulate(len(r.rows) for r in flush.readings))
        for index, words in refused.points.items():
            reading = flush.readings[bisect.bisect_right(ends, index)]
            row = flush.rows[index]
            where = row.partition(" ")[0] if isinstance(row, str) else f"{row.measurement}/{row.device}"
            reading.errors.append(ProtocolError(Reason.REFUSED_BY_STORE, where, words))
        for index, words in refused.deliveries.items():
            reading = stored[index]
            reading.errors.append(ProtocolError(Reason.REFUSED_BY_STORE, "delivery", words))
            reading.epoch = ""
        self._counts[f"rejected_{Reason.REFUSED_BY_STORE}"] += len(refused.points) + len(refused.deliveries)

    async def _settle(self, flush: Flush) -> None:
        bad = [i for i, reading in enumerate(flush.readings) if reading.errors]
        # Only now: while the store was away a window may have closed over rows that were in time when they were read.
        late = LateWindows(self._context.now() + flush.ahead_s, self._context.config.timeseries.rollup_delay_s)
        for route, reading in zip(flush.routes, flush.readings, strict=True):
            if route is not None and reading.rows and reading.oldest_ms < late.before_ms:
                late.note(route.home, reading.rows)
        if bad or late:
            async with self._context.work() as work:
                if late:
                    await late.put(work)
                for i in bad:
                    topic, payload = flush.messages[i]
                    route = flush.routes[i]
                    gateway = route.gateway if route is not None else None
                    await quarantine.put_telemetry(work, topic, gateway, payload, flush.readings[i].errors)
                self._untrimmed += sum(len(flush.messages[i][1]) for i in bad)
                if self._untrimmed * _TRIM_SHARE > self._context.config.ingest.quarantine_limit_bytes:
                    await quarantine.trim(work)
                    self._untrimmed = 0
        add = self.ledger.add
        doubled = 0
        for route, r in zip(flush.routes, flush.readings, strict=True):
            if route is not None and r.epoch and not add((route.gateway, r.epoch, r.lane), r.seq):
                doubled += 1
        self._counts["telemetry_duplicates"] += doubled
