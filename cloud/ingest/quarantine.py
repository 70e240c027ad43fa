"""What was refused, kept with the reason, so that it can be looked at and replayed."""

from __future__ import annotations

import re

import msgspec
from sqlalchemy import delete, func, select

from cloud.context import Work
from cloud.db.schema import quarantine
from protocols.errors import ProtocolError
from protocols.wire import Lane


class Place(msgspec.Struct, frozen=True):
    """The place of a message in its gateway's sequence, read from a message that is wrong elsewhere."""

    epoch: str | None = None
    lane: Lane | None = None
    seq: int | None = None


_decoder = msgspec.json.Decoder(Place)
_MAX_KEPT_BYTES = 64 * 1024
_HEAD_BYTES = 400
_HEX = re.compile(r"[0-9a-f]{16}")
_EPOCH = re.compile(rb'"epoch"\s*:\s*"([0-9a-f]{16})"')
_LANE = re.compile(rb'"lane"\s*:\s*"(alarm|live|backlog)"')
_SEQ = re.compile(rb'"seq"\s*:\s*([0-9]{1,16})\b')


def place_of(payload: bytes, lanes: tuple[Lane, ...]) -> Place:
    """What can still be read of epoch, lane and sequence; nothing of it need be right.

    Only `lanes` are believed, so that a broken telemetry message can never settle an alarm; an alarm names no lane.
    """
    try:
        place = _decoder.decode(payload[: 1 << 20])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        place = _searched(payload[:_HEAD_BYTES])
    lane = Lane.ALARM if lanes == (Lane.ALARM,) else place.lane
    seq = place.seq if place.seq is not None and 1 <= place.seq <= 2**53 else None
    epoch = place.epoch if place.epoch is not None and _HEX.fullmatch(place.epoch) else None
    return Place(epoch, lane if lane in lanes else None, seq)


def _text(value: str) -> str:
    """PostgreSQL keeps no NUL in a text."""
    return value.replace("\x00", "␀")


def _searched(head: bytes) -> Place:
    """From a message that is no JSON (a NaN, say): what stands in its beginning, so that it is not sent for ever."""
    epoch, lane, seq = (pattern.search(head) for pattern in (_EPOCH, _LANE, _SEQ))
    return Place(
        epoch[1].decode() if epoch else None, Lane(lane[1].decode()) if lane else None, int(seq[1]) if seq else None
    )


async def put(work: Work, topic: str, gateway: str | None, payload: bytes, error: ProtocolError, place: Place) -> None:
    """Keep one message with the reason; `trim` afterwards."""
    row = {
        "received_at": work.now,
        "topic": _text(topic[:200]),
        "gateway_id": gateway,
        "epoch": place.epoch,
        "lane": place.lane,
        "seq": place.seq,
        "reason": error.reason,
        "detail": _text(str(error)[:500]),
        "payload": payload[:_MAX_KEPT_BYTES],
        "size": len(payload),
        "state": "held",
    }
    await work.run(quarantine.insert().values(**row))


async def trim(work: Work) -> None:
    """Past the configured size the oldest are given up; call it once for everything put in a transaction."""
    kept = func.length(quarantine.c.payload)
    total = int(await work.connection.scalar(select(func.sum(kept))) or 0)
    limit = work.context.config.ingest.quarantine_limit_bytes
    while total > limit:
        oldest = await work.one(select(quarantine.c.id, kept.label("kept")).order_by(quarantine.c.id).limit(1))
        if oldest is None:
            break
        await work.run(delete(quarantine).where(quarantine.c.id == oldest["id"]))
        total -= oldest["kept"]
