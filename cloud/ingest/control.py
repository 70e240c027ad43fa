"""Alarms: each gateway's in order, side by side for different gateways, acknowledged once the incident is committed.

They have their own connection and never touch the time series, so nothing there can hold them up.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter

import structlog
from sqlalchemy.exc import SQLAlchemyError

from cloud.context import Context
from cloud.db.engine import TRANSIENT
from cloud.incidents import technical
from cloud.incidents.intake import AlarmIntake
from cloud.ingest import quarantine
from cloud.ingest.downlink import settle_reply
from cloud.ingest.connection import Publish
from cloud.registry.gateways import GatewayDirectory
from cloud.supervision.gateways import StatusIntake
from protocols.errors import ProtocolError, Reason
from protocols.topics import Down, Up, down, parse_up
from protocols.wire import Ack, AckRanges, Lane, Rejection, decode_alarm, decode_reply, decode_status, encode

log = structlog.get_logger()

_SHARDS = 8
_SHARD_LIMIT = 2_000
_RETRY_S = 1.0


class ControlIngest:
    """Alarms, status and replies."""

    def __init__(self, context: Context, directory: GatewayDirectory, counts: Counter[str]) -> None:
        self._context = context
        self._directory = directory
        self._counts = counts
        self._alarms = AlarmIntake(context)
        self._status = StatusIntake(context)
        self._shards: list[asyncio.Queue[tuple[str, bytes, bool]]] = [
            asyncio.Queue(_SHARD_LIMIT) for _ in range(_SHARDS)
        ]

    def take(self, topic: str, payload: bytes, retained: bool) -> None:
        """Queue one message; past the bound it is dropped and counted, and an alarm is sent again by its gateway."""
        gateway = topic.split("/", 3)[2] if topic.count("/") >= 2 else ""
        shard = self._shards[zlib.crc32(gateway.encode()) % _SHARDS]
        if shard.full():
            self._counts["control_overflow"] += 1
            return
        shard.put_nowait((topic, payload, retained))

    async def run(self, publish: Publish) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for shard in self._shards:
                group.create_task(self._work_on(shard, publish))

    async def _work_on(self, shard: asyncio.Queue[tuple[str, bytes, bool]], publish: Publish) -> None:
        while True:
            message = await shard.get()
            while True:
                try:
                    await self._handle(*message, publish)
                    break
                except TRANSIENT as error:
                    self._counts["control_store_error"] += 1
                    log.warning("control_waits", topic=message[0], error=str(error).partition("\n")[0])
                    await asyncio.sleep(_RETRY_S)

    async def _handle(self, topic: str, payload: bytes, retained: bool, publish: Publish) -> None:
        gateway: str | None = None
        channel: Up | None = None
        try:
            parsed = parse_up(topic)
            channel, gateway = parsed.channel, parsed.gateway
            home = await self._directory.home_of(gateway)
            if channel is Up.ALARM:
                await self._alarm(gateway, payload, publish)
            elif channel is Up.STATUS and payload:
                await self._status.accept(gateway, home, decode_status(payload), retained=retained)
                self._counts["statuses"] += 1
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
        log.warning("quarantined", topic=topic[:120], reason=error.reason, detail=str(error)[:200])
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
