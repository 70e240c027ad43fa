"""What has been stored of every gateway, epoch and lane, as ranges in SQL; several workers may add to the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, select

from cloud.context import Work
from cloud.db.schema import ledger
from protocols.delivery import RangeSet
from protocols.wire import SeqRange

Key = tuple[str, str, str]
"""Gateway, epoch, lane."""
_LOCK = 7_003


async def add(work: Work, stored: Mapping[Key, Sequence[int]]) -> int:
    """Merge these sequences in; returns how many of them were there already."""
    await work.context.database.lock(work.connection, _LOCK)
    doubled = 0
    for (gateway, epoch, lane), sequences in stored.items():
        own = (ledger.c.gateway_id == gateway, ledger.c.epoch == epoch, ledger.c.lane == lane)
        near = (ledger.c.last >= min(sequences) - 1, ledger.c.first <= max(sequences) + 1)
        rows = await work.all(select(ledger.c.first, ledger.c.last).where(*own, *near))
        ranges = RangeSet((row["first"], row["last"]) for row in rows)
        before = list(ranges)
        doubled += sum(not ranges.add(seq) for seq in sequences)
        if list(ranges) == before:
            continue
        await work.run(delete(ledger).where(*own, *near))
        place = {"gateway_id": gateway, "epoch": epoch, "lane": lane, "updated_at": work.now}
        await work.run(ledger.insert(), [{**place, "first": first, "last": last} for first, last in ranges])
    return doubled


async def stored_ranges(work: Work, gateway: str) -> dict[tuple[str, str], list[SeqRange]]:
    """Everything stored of one gateway, by epoch and lane."""
    rows = await work.all(select(ledger).where(ledger.c.gateway_id == gateway).order_by(ledger.c.first))
    found: dict[tuple[str, str], list[SeqRange]] = {}
    for row in rows:
        found.setdefault((row["epoch"], row["lane"]), []).append((row["first"], row["last"]))
    return found


def ranges_of(sequences: Sequence[int]) -> list[SeqRange]:
    """Sequences as ascending ranges."""
    ranges = RangeSet()
    for seq in sequences:
        ranges.add(seq)
    return list(ranges)
