"""Telemetry: decode, check, write to the time series, note in the ledger, then acknowledge — in this order.

Theory of operation. Messages wait as they came in a bounded list. One loop takes what is there every
`flush_interval_s`, writes all points of all homes in one go, commits ledger and quarantine in one transaction, and
only then answers. If the store or the database is away nothing is answered, the gateways keep their batches, and the
list's bound keeps this process small. Every step may happen twice without harm.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import SQLAlchemyError

from cloud.context import Context, Work
from cloud.ingest import ledger, quarantine
from cloud.registry.gateways import GatewayDirectory
from cloud.timeseries.base import Delivery, Point, StoreError, StoreRefusedError, TimeSeriesStore
from protocols.errors import ProtocolError, Reason
from protocols.metrics import METRICS
from protocols.telemetry import BatchReading, TimeBounds, read_records
from protocols.topics import Down, down, parse_up
from protocols.wire import Ack, AckRanges, Lane, Rejection, TelemetryBatch, decode_telemetry, encode

log = structlog.get_logger()

Publish = Callable[[str, bytes, int], bool]
"""Topic, payload, QoS: hands a message to the broker; False while there is no connection."""

_BACKOFF_LIMIT_S = 5.0
_LANES = (Lane.LIVE, Lane.BACKLOG)
_MAX_REJECTED = 1_000
"""As many as one acknowledgement may name."""


@dataclass(slots=True)
class _Message:
    """One message on its way through a flush."""

    topic: str
    payload: bytes
    gateway: str | None = None
    home: str = ""
    batch: TelemetryBatch | None = None
    points: list[Point] = field(default_factory=list)
    errors: list[ProtocolError] = field(default_factory=list)
    is_read: bool = False


class TelemetryIngest:
    """Takes telemetry messages; `publish` sends the acknowledgements."""

    def __init__(
        self, context: Context, store: TimeSeriesStore, directory: GatewayDirectory, counts: Counter[str]
    ) -> None:
        self._context = context
        self._store = store
        self._directory = directory
        self._counts = counts
        self._waiting: deque[_Message] = deque()
        self.store_problem: str | None = None

    def take(self, topic: str, payload: bytes, _retained: bool) -> None:
        """Keep one message for the next flush; past the bound it is dropped, counted, and sent again by its owner."""
        if len(self._waiting) >= self._context.config.ingest.max_in_flight_batches:
            self._counts["telemetry_overflow"] += 1
            return
        self._waiting.append(_Message(topic, payload))

    @property
    def waiting(self) -> int:
        """Messages not yet stored."""
        return len(self._waiting)

    async def run(self, publish: Publish) -> None:
        """Flush until cancelled. `publish(topic, payload, qos)` hands a message to the broker."""
        failures = 0
        while True:
            await asyncio.sleep(self._context.config.ingest.flush_interval_s)
            if not self._waiting:
                continue
            try:
                acks = await self.flush()
                failures = 0
                self.store_problem = None
                for gateway, ack in acks.items():
                    publish(down(gateway, Down.ACK), encode(ack), 0)
            except (StoreError, SQLAlchemyError, OSError) as error:
                failures += 1
                self._counts["telemetry_store_error"] += 1
                self.store_problem = str(error).partition("\n")[0][:300]
                log.warning("telemetry_waits", waiting=len(self._waiting), error=self.store_problem)
                await asyncio.sleep(min(_BACKOFF_LIMIT_S, 0.25 * 2**failures))

    async def flush(self) -> dict[str, Ack]:
        """Store what waits (at most about `flush_lines` points); returns the acknowledgement for each gateway."""
        messages: list[_Message] = []
        lines = 0
        for message in list(self._waiting):
            if lines >= self._context.config.ingest.flush_lines:
                break
            if not message.is_read:
                await self._read(message)
            messages.append(message)
            lines += len(message.points)
        await self._write(messages)
        async with self._context.work() as work:
            stored: dict[ledger.Key, list[int]] = {}
            for message in messages:
                if message.batch is not None and message.gateway is not None:
                    key = (message.gateway, message.batch.epoch, str(message.batch.lane))
                    stored.setdefault(key, []).append(message.batch.seq)
                if message.errors:
                    await self._quarantine(work, message)
            if any(message.errors for message in messages):
                await quarantine.trim(work)
            self._counts["telemetry_duplicates"] += await ledger.add(work, stored)
        for _ in messages:
            self._waiting.popleft()
        self._counts["telemetry_batches"] += sum(m.batch is not None for m in messages)
        self._counts["telemetry_points"] += lines
        return self._acks(messages)

    async def _read(self, message: _Message) -> None:
        try:
            message.gateway = parse_up(message.topic).gateway
            message.home = await self._directory.home_of(message.gateway)
            batch = decode_telemetry(message.payload)
            limits = self._context.config.ingest
            bounds = TimeBounds(limits.max_age_days * 86_400, limits.max_future_s)
            readings, message.errors = read_records(batch.records, self._context.now(), bounds)
            message.points = _points(message.home, readings)
            message.batch = batch
        except ProtocolError as error:
            message.errors = [error]
        message.is_read = True
        for found in message.errors:
            self._counts[f"rejected_{found.reason}"] += 1

    async def _write(self, messages: list[_Message]) -> None:
        points: list[Point] = []
        owners: list[_Message] = []
        for message in messages:
            points += message.points
            owners += [message] * len(message.points)
        deliveries = [
            Delivery(m.home, m.gateway or "", m.batch.epoch, Lane(m.batch.lane), m.batch.seq, *_sent(m.batch))
            for m in messages
            if m.batch is not None
        ]
        try:
            await self._store.write(points, deliveries)
        except StoreRefusedError as refused:
            for index, words in refused.refused.items():
                point = points[index]
                where = f"{point.measurement}/{point.device}"
                owners[index].errors.append(ProtocolError(Reason.REFUSED_BY_STORE, where, words))
                self._counts[f"rejected_{Reason.REFUSED_BY_STORE}"] += 1

    async def _quarantine(self, work: Work, message: _Message) -> None:
        place = quarantine.place_of(message.payload, _LANES)
        if message.gateway is None:
            place = quarantine.Place()
        error = message.errors[0]
        if len(message.errors) > 1:
            more = "; ".join(str(e) for e in message.errors[1:6])
            error = ProtocolError(error.reason, error.where, f"{error.what}; {more} ({len(message.errors)} in all)")
        await quarantine.put(work, message.topic, message.gateway, message.payload, error, place)
        log.warning("quarantined", topic=message.topic[:120], reason=error.reason, detail=str(error)[:200])

    def _acks(self, messages: list[_Message]) -> dict[str, Ack]:
        stored: dict[str, dict[tuple[str, Lane], list[int]]] = {}
        rejected: dict[str, list[Rejection]] = {}
        for message in messages:
            if message.gateway is None or not message.home:
                continue
            if message.batch is not None:
                key = (message.batch.epoch, Lane(message.batch.lane))
                stored.setdefault(message.gateway, {}).setdefault(key, []).append(message.batch.seq)
            place = quarantine.place_of(message.payload, _LANES)
            if message.errors and place.epoch and place.lane and place.seq:
                entry = Rejection(place.epoch, place.lane, place.seq, message.errors[0].reason)
                rejected.setdefault(message.gateway, []).append(entry)
        now = self._context.now()
        return {
            gateway: Ack(
                v=1,
                at=now,
                ranges=[
                    AckRanges(epoch, lane, ledger.ranges_of(sequences))
                    for (epoch, lane), sequences in stored.get(gateway, {}).items()
                ],
                rejected=rejected.get(gateway, [])[:_MAX_REJECTED],
            )
            for gateway in stored.keys() | rejected.keys()
        }


def _sent(batch: TelemetryBatch) -> tuple[int, int]:
    return round(batch.sent * 1000), len(batch.records)


def _points(home: str, readings: list[BatchReading]) -> list[Point]:
    """One point per measurement, device and time, with the metrics as fields."""
    points: dict[tuple[str, str, int], Point] = {}
    for reading in readings:
        measurement = METRICS[reading.metric].measurement
        key = (measurement, reading.device, reading.at_ms)
        point = points.get(key)
        if point is None:
            point = points[key] = Point(measurement, home, reading.device, reading.at_ms, {})
        point.fields[reading.metric] = reading.value
    return list(points.values())
