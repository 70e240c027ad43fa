"""Alarms: each gateway's in order, side by side for different gateways, acknowledged once the incident is committed.

They have their own connection and never touch the time series, so nothing there can hold them up.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from cloud.context import Context
from cloud.db.engine import TRANSIENT
from cloud.incidents import technical
from cloud.incidents.intake import AlarmIntake
from cloud.ingest import quarantine
from cloud.ingest.connection import Publish
from cloud.ingest.downlink import settle_reply
from cloud.metrics import ALARM_LATENCY
from cloud.registry.gateways import GatewayDirectory
from cloud.supervision.status import Heard, StatusIntake
from protocols.errors import ProtocolError, Reason
from protocols.topics import Down, Up, down, parse_up
from protocols.wire import Ack, AckRanges, Lane, Rejection, decode_alarm, decode_reply, decode_status, encode

log = structlog.get_logger()

T = TypeVar("T")
_Queued = tuple[str, bytes, float]
"""Topic, payload, when it came (monotonic)."""
_STATUS_END = f"/up/{Up.STATUS}"
_STATUS_LIMIT = 250_000
_STATUSES_AT_ONCE = 500
_STATUS_GATHER_S = 0.2
_SHARDS = 8
_SHARD_LIMIT = 2_000
_RETRY_S = 1.0


class ControlIngest:
    """Alarms and replies by gateway, side by side; statuses of many gateways together."""

    def __init__(self, context: Context, directory: GatewayDirectory, counts: Counter[str]) -> None:
        self._context = context
        self._directory = directory
        self._counts = counts
        self._alarms = AlarmIntake(context)
        self._status = StatusIntake(context)
        self._statuses: deque[tuple[str, bytes, bool]] = deque()
        self._status_came = asyncio.Event()
        self._shards: list[asyncio.Queue[_Queued]] = [asyncio.Queue(_SHARD_LIMIT) for _ in range(_SHARDS)]

    def take(self, topic: str, payload: bytes, retained: bool) -> None:
        """Queue one message; past the bound it is dropped and counted, and an alarm is sent again by its gateway."""
        if topic.endswith(_STATUS_END):
            if len(self._statuses) >= _STATUS_LIMIT:
                self._counts["status_overflow"] += 1
                return
            self._statuses.append((topic, payload, retained))
            self._status_came.set()
            return
        gateway = topic.split("/", 3)[2] if topic.count("/") >= 2 else ""
        shard = self._shards[zlib.crc32(gateway.encode()) % _SHARDS]
        if shard.full():
            self._counts["control_overflow"] += 1
            return
        shard.put_nowait((topic, payload, time.monotonic()))

    async def run(self, publish: Publish) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for shard in self._shards:
                group.create_task(self._work_on(shard, publish))
            group.create_task(self._work_on_statuses(publish))

    @property
    def waiting(self) -> dict[str, int]:
        """How many messages wait."""
        return {"alarms_waiting": sum(s.qsize() for s in self._shards), "statuses_waiting": len(self._statuses)}

    async def _work_on(self, shard: asyncio.Queue[_Queued], publish: Publish) -> None:
        while True:
            topic, payload, came = await shard.get()
            while True:
                try:
                    await self._handle(topic, payload, publish)
                    ALARM_LATENCY.observe(time.monotonic() - came)
                    break
                except TRANSIENT as error:
                    self._counts["control_store_error"] += 1
                    log.warning("control_waits", topic=topic, error=str(error).partition("\n")[0])
                    await asyncio.sleep(_RETRY_S)

    async def _work_on_statuses(self, publish: Publish) -> None:
        """Take what has come every fifth of a second, so that a district's heartbeats are few transactions."""
        while True:
            await self._status_came.wait()
            await asyncio.sleep(_STATUS_GATHER_S)
            self._status_came.clear()
            while self._statuses:
                messages = [self._statuses.popleft() for _ in range(min(len(self._statuses), _STATUSES_AT_ONCE))]
                heard: list[tuple[str, bytes, Heard]] = []
                for message in messages:
                    one = await self._until_done(partial(self._read_status, *message, publish))
                    if one is not None:
                        heard.append(one)
                await self._until_done(partial(self._accept_statuses, heard, publish))

    async def _until_done(self, step: Callable[[], Awaitable[T]]) -> T:
        """Do a step again and again while the database is away."""
        while True:
            try:
                return await step()
            except TRANSIENT as error:
                self._counts["control_store_error"] += 1
                log.warning("statuses_wait", count=len(self._statuses), error=str(error).partition("\n")[0])
                await asyncio.sleep(_RETRY_S)

    async def _read_status(
        self, topic: str, payload: bytes, retained: bool, publish: Publish
    ) -> tuple[str, bytes, Heard] | None:
        gateway: str | None = None
        try:
            gateway = parse_up(topic).gateway
            home = await self._directory.home_of(gateway)
            if not payload:  # it only removes what the broker had retained
                return None
            return topic, payload, Heard(gateway, home, decode_status(payload), retained)
        except ProtocolError as error:
            await self._reject(topic, gateway, Up.STATUS, payload, error, publish)
            return None

    async def _accept_statuses(self, heard: list[tuple[str, bytes, Heard]], publish: Publish) -> None:
        try:
            await self._status.accept([one for _, _, one in heard])
            self._counts["statuses"] += len(heard)
        except TRANSIENT:
            raise
        except SQLAlchemyError:
            # One of them holds what the database will never take: alone, the others pass.
            for entry in heard:
                await self._until_done(partial(self._accept_alone, *entry, publish))

    async def _accept_alone(self, topic: str, payload: bytes, one: Heard, publish: Publish) -> None:
        try:
            await self._status.accept([one])
            self._counts["statuses"] += 1
        except TRANSIENT:
            raise
        except SQLAlchemyError as error:
            refused = ProtocolError(Reason.REFUSED_BY_STORE, "status", str(error).partition("\n")[0])
            await self._reject(topic, one.gateway, Up.STATUS, payload, refused, publish)

    async def _handle(self, topic: str, payload: bytes, publish: Publish) -> None:
        gateway: str | None = None
        channel: Up | None = None
        try:
            parsed = parse_up(topic)
            channel, gateway = parsed.channel, parsed.gateway
            await self._directory.home_of(gateway)
            if channel is Up.ALARM:
                await self._alarm(gateway, payload, publish)
            elif channel is Up.REPLY:
                await settle_reply(self._context, gateway, decode_reply(payload))
        except ProtocolError as error:
            await self._reject(topic, gateway, channel, payload, error, publish)
        except TRANSIENT:
            raise
        except SQLAlchemyError as error:
            # What the database will never take (a NUL in a text, say) must not hold up the messages behind it.
            refused = ProtocolError(Reason.REFUSED_BY_STORE, channel or "message", str(error).partition("\n")[0])
            await self._reject(topic, gateway, channel, payload, refused, publish)

    async def _alarm(self, gateway: str, payload: bytes, publish: Publish) -> None:
        event = decode_alarm(payload)
        new = await self._alarms.accept(gateway, event)
        self._counts["alarm_events" if new else "alarm_duplicates"] += 1
        ack = Ack(v=1, at=self._context.now(), ranges=[AckRanges(event.epoch, Lane.ALARM, [(event.seq, event.seq)])])
        publish(down(gateway, Down.ACK), encode(ack), 0)
        log.info("alarm_taken", gateway=gateway, alarm_id=event.alarm_id, kind=event.kind, state=event.state, new=new)

    async def _reject(
        self,
        topic: str,
        gateway: str | None,
        channel: Up | None,
        payload: bytes,
        error: ProtocolError,
        publish: Publish,
    ) -> None:
        """Keep it, count it, tell the sender; an alarm that cannot be read is itself news for an operator."""
        self._counts[f"rejected_{error.reason}"] += 1
        place = quarantine.place_of(payload, (Lane.ALARM,))
        home: str | None = None
        if gateway is not None and channel is Up.ALARM:
            try:
                home = await self._directory.home_of(gateway)
            except ProtocolError:
                home = None
        async with self._context.work() as work:
            await quarantine.put(work, topic, gateway, payload, error, place)
            await quarantine.trim(work)
            if home is not None:
                await technical.open_technical(work, home, "alarm_rejected", f"gateway:{gateway}", "medium")
        if gateway is not None and home is not None and place.epoch and place.seq:
            rejection = Rejection(place.epoch, Lane.ALARM, place.seq, error.reason)
            publish(down(gateway, Down.ACK), encode(Ack(v=1, at=self._context.now(), rejected=[rejection])), 0)
