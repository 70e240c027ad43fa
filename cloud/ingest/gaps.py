"""Gaps in what gateways have delivered, older than a set time: looked up in the proofs, then asked for again.

A worker that was killed may have stored and acknowledged batches that the ledger does not know; the `delivery`
measurement does. So each gap is first filled from there, and only what is left is asked for again, once.
"""

from __future__ import annotations

import time
import uuid

import structlog
from sqlalchemy import Text, cast, or_, select

from cloud.context import Context
from cloud.db.schema import commands, gateways, ledger
from cloud.db.upsert import insert_new
from cloud.ingest.ledger import merge, parse_ranges
from cloud.timeseries.base import TimeSeriesStore
from protocols.delivery import RangeSet
from protocols.wire import Lane, SendAgain, SeqRange, encode

log = structlog.get_logger()

_AT_ONCE = 500
_COMMAND_LIFE_S = 86_400.0
_NAMESPACE = uuid.UUID("8d5c2c3e-6a52-4f0e-9c86-0b7d0f5a4a11")
Gap = tuple[str, str, str, int, int]
"""Gateway, epoch, lane, first, last."""


class GapWatch:
    """Remembers since when each gap is known; one in every ingest worker, and all of them come to the same."""

    def __init__(self, context: Context, store: TimeSeriesStore) -> None:
        self._context = context
        self._store = store
        self._since: dict[Gap, float] = {}
        self._settled: set[Gap] = set()

    async def step(self) -> int:
        """Look once; returns for how many gaps a command was written. Raises StoreError, SQLAlchemyError."""
        now = time.monotonic()
        found = await self._gaps()
        self._since = {gap: self._since.get(gap, now) for gap in found}
        self._settled &= set(found)
        old = [gap for gap, since in self._since.items() if now - since >= self._context.config.supervision.gap_after_s]
        asked = 0
        for gap in old:
            if gap not in self._settled:
                asked += await self._settle(gap)
                self._settled.add(gap)
        return asked

    @property
    def known(self) -> int:
        """How many gaps are known at this moment."""
        return len(self._since)

    async def _gaps(self) -> list[Gap]:
        written = cast(ledger.c.ranges, Text)
        gappy = or_(written.like("%),[%"), written.not_like("{[1,%"))
        columns = ledger.c.gateway_id, ledger.c.epoch, ledger.c.lane, written.label("ranges")
        async with self._context.look() as look:
            rows = await look.all(select(*columns).where(gappy, ledger.c.lane != Lane.ALARM).limit(_AT_ONCE))
        return [
            (row["gateway_id"], row["epoch"], row["lane"], first, last)
            for row in rows
            for first, last in RangeSet(parse_ranges(row["ranges"])).gaps()
        ]

    async def _settle(self, gap: Gap) -> int:
        gateway, epoch, lane, first, last = gap
        now = self._context.now()
        keep = self._context.config.timeseries.raw_retention_days * 86_400
        proven = (await self._store.delivered(gateway, now - keep, now + 86_400)).get((epoch, Lane(lane)), [])
        inside = [(max(a, first), min(b, last)) for a, b in proven if a <= last and b >= first]
        missing = _without(first, last, inside)
        new = 0
        async with self._context.work() as work:
            await merge(work, {(gateway, epoch, lane): inside} if inside else {})
            known = await work.one(
                select(gateways.c.id).where(gateways.c.id == gateway, gateways.c.revoked_at.is_(None))
            )
            for begin, end in missing if known is not None else ():
                name = str(uuid.uuid5(_NAMESPACE, f"{gateway} {epoch} {lane} {begin} {end}"))
                command = SendAgain(
                    v=1, id=name, expires_at=now + _COMMAND_LIFE_S, epoch=epoch, lane=Lane(lane), first=begin, last=end
                )
                row = {"id": name, "gateway_id": gateway, "payload": encode(command), "created_at": now}
                row |= {"expires_at": command.expires_at, "state": "waiting"}
                new += await insert_new(work.connection, commands, row)
        if new:
            log.warning("gap_asked_for", gateway=gateway, epoch=epoch, lane=lane, ranges=missing[:10])
        return new


def _without(first: int, last: int, held: list[SeqRange]) -> list[SeqRange]:
    """What is left of `first`..`last` when `held` (ascending, inside it) is taken out."""
    left: list[SeqRange] = []
    at = first
    for begin, end in held:
        if begin > at:
            left.append((at, begin - 1))
        at = max(at, end + 1)
    if at <= last:
        left.append((at, last))
    return left
