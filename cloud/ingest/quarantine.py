"""What was refused, kept with the reason, so that it can be looked at and replayed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from sqlalchemy import delete, func, select, update

from cloud.context import Work
from cloud.db.schema import quarantine
from protocols.errors import ProtocolError
from protocols.wire import Lane

log = structlog.get_logger()

TELEMETRY_LANES = (Lane.LIVE, Lane.BACKLOG)


class Place(msgspec.Struct, frozen=True):
    """The place of a message in its gateway's sequence, read from a message that is wrong elsewhere."""

    epoch: str | None = None
    lane: Lane | None = None
    seq: int | None = None


_decoder = msgspec.json.Decoder(Place)
_MAX_KEPT_BYTES = 64 * 1024
_HEAD_BYTES = 400
_TRIM_AT_ONCE = 200
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
    log.warning("quarantined", topic=topic[:120], reason=error.reason, detail=str(error)[:200])


async def put_telemetry(
    work: Work, topic: str, gateway: str | None, payload: bytes, errors: Sequence[ProtocolError]
) -> None:
    """Keep a telemetry message with the first of its errors and, in words, some more."""
    place = place_of(payload, TELEMETRY_LANES) if gateway is not None else Place()
    error = errors[0]
    if len(errors) > 1:
        more = "; ".join(str(e) for e in errors[1:6])
        error = ProtocolError(error.reason, error.where, f"{error.what}; {more} ({len(errors)} in all)")
    await put(work, topic, gateway, payload, error, place)


async def trim(work: Work) -> int:
    """Past the configured size the oldest are given up, settled ones first; returns how many went."""
    kept = func.length(quarantine.c.payload)
    total = int(await work.connection.scalar(select(func.sum(kept))) or 0)
    limit = work.context.config.ingest.quarantine_limit_bytes
    gone = 0
    while total > limit:
        order = quarantine.c.state == "held", quarantine.c.id
        oldest = await work.all(select(quarantine.c.id, kept.label("kept")).order_by(*order).limit(_TRIM_AT_ONCE))
        if not oldest:
            break
        ids = []
        for row in oldest:
            if total <= limit:
                break
            ids.append(row["id"])
            total -= row["kept"]
        await work.run(delete(quarantine).where(quarantine.c.id.in_(ids)))
        gone += len(ids)
    return gone


# --- what an operator does with them ----------------------------------------------------------------------------------


async def held(
    work: Work, *, state: str = "held", gateway: str | None = None, reason: str | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Entries, newest first, without their payloads."""
    columns = [column for column in quarantine.c if column.name != "payload"]
    statement = select(*columns).order_by(quarantine.c.id.desc()).limit(limit)
    if state != "all":
        statement = statement.where(quarantine.c.state == state)
    if gateway is not None:
        statement = statement.where(quarantine.c.gateway_id == gateway)
    if reason is not None:
        statement = statement.where(quarantine.c.reason == reason)
    return await work.all(statement)


async def summary(work: Work) -> list[dict[str, Any]]:
    """How many are held for each reason, and since when."""
    return await work.all(
        select(
            quarantine.c.reason,
            func.count().label("count"),
            func.sum(quarantine.c.size).label("bytes"),
            func.min(quarantine.c.received_at).label("oldest_at"),
        )
        .where(quarantine.c.state == "held")
        .group_by(quarantine.c.reason)
        .order_by(quarantine.c.reason)
    )


async def show(work: Work, entry: int) -> dict[str, Any] | None:
    """One entry with its payload."""
    return await work.one(select(quarantine).where(quarantine.c.id == entry))


async def discard(work: Work, ids: Sequence[int], note: str, by: str) -> int:
    """Settle held entries as not wanted; returns how many were held. The bytes stay until `trim` needs their room."""
    return await _settle(work, ids, "discarded", note, by)


async def mark_replayed(work: Work, ids: Sequence[int], by: str) -> int:
    """Settle entries that were read, stored and acknowledged now."""
    return await _settle(work, ids, "replayed", "", by)


async def _settle(work: Work, ids: Sequence[int], state: str, note: str, by: str) -> int:
    own = quarantine.c.id.in_(list(ids)), quarantine.c.state == "held"
    values = {"state": state, "settled_at": work.now, "settled_by": by, "note": _text(note[:500])}
    return await work.run(update(quarantine).where(*own).values(**values))
