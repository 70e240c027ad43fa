"""What has been stored of every gateway, epoch and lane, as ranges in SQL; several workers may add to the same.

A worker notes what it stored in memory and merges that into SQL every `ledger_interval_s`, all gateways in one
statement. The ledger is an index, not the proof: what a killed worker had not merged yet stands in the `delivery`
measurement, and whoever acts on a gap looks there first (cloud/ingest/gaps.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Text, cast, select, text

from cloud.context import Context, Work
from cloud.db.schema import ledger
from cloud.db.upsert import upsert
from protocols.delivery import RangeSet
from protocols.wire import SeqRange

Key = tuple[str, str, str]
"""Gateway, epoch, lane."""
_LOCK = 7_003
_PAIR = re.compile(r"\[(\d+),(\d+)\)")
_AT_ONCE = 20_000
_READ_AT_ONCE = 300

_MERGE = text(
    "INSERT INTO ledger (gateway_id, epoch, lane, ranges, updated_at)"
    " SELECT g, e, l, r::int8multirange, :at FROM unnest(CAST(:gateways AS text[]), CAST(:epochs AS text[]),"
    " CAST(:lanes AS text[]), CAST(:ranges AS text[])) AS new (g, e, l, r) ORDER BY g, e, l"
    " ON CONFLICT (gateway_id, epoch, lane) DO UPDATE"
    " SET ranges = ledger.ranges + excluded.ranges, updated_at = excluded.updated_at"
)


class Ledger:
    """One worker's share since the last checkpoint."""

    def __init__(self) -> None:
        self._runs: dict[Key, RangeSet] = {}
        self._tails: dict[Key, list[int]] = {}
        self._before: dict[Key, list[SeqRange]] = {}

    def __len__(self) -> int:
        return len(self._tails)

    def add(self, key: Key, seq: int) -> bool:
        """Note one stored sequence; False if this worker noted it before, since the checkpoint before the last."""
        tail = self._tails.get(key)
        if tail is None:
            self._tails[key] = [seq, seq]
            return key not in self._before or not _holds(self._before[key], seq)
        if seq == tail[1] + 1 and key not in self._runs:
            tail[1] = seq
            return True
        runs = self._runs.get(key)
        if runs is None:
            runs = self._runs[key] = RangeSet([(tail[0], tail[1])])
        return runs.add(seq) and not _holds(self._before.get(key, ()), seq)

    def holds(self, key: Key, seq: int) -> bool:
        """Whether this worker noted it, since the checkpoint before the last."""
        tail = self._tails.get(key)
        if tail is not None:
            runs = self._runs.get(key)
            if seq in runs if runs is not None else tail[0] <= seq <= tail[1]:
                return True
        return _holds(self._before.get(key, ()), seq)

    def take(self) -> dict[Key, list[SeqRange]]:
        """Everything noted; afterwards nothing is."""
        taken: dict[Key, list[SeqRange]] = {
            key: list(self._runs[key]) if key in self._runs else [(tail[0], tail[1])]
            for key, tail in self._tails.items()
        }
        self._runs, self._tails = {}, {}
        return taken

    def give_back(self, taken: Mapping[Key, Sequence[SeqRange]]) -> None:
        """Note again what could not be merged."""
        for key, ranges in taken.items():
            runs = self._runs.get(key)
            if runs is None:
                runs = self._runs[key] = RangeSet()
                if key in self._tails:
                    runs.add_range(*self._tails[key])
            for first, last in ranges:
                runs.add_range(first, last)
            self._tails.setdefault(key, [ranges[0][0], ranges[0][1]])

    async def checkpoint(self, context: Context) -> int:
        """Merge into SQL; returns for how many gateways, epochs and lanes. Raises SQLAlchemyError, keeping all."""
        taken = self.take()
        if not taken:
            return 0
        try:
            items = sorted(taken.items())
            for begin in range(0, len(items), _AT_ONCE):
                async with context.work() as work:
                    await merge(work, dict(items[begin : begin + _AT_ONCE]))
        except BaseException:
            self.give_back(taken)
            raise
        self._before = taken
        return len(taken)


def _holds(ranges: Sequence[SeqRange], seq: int) -> bool:
    return any(first <= seq <= last for first, last in ranges)


async def merge(work: Work, stored: Mapping[Key, Sequence[SeqRange]]) -> None:
    """Add ranges to the ledger; the same ranges again change nothing."""
    if not stored:
        return
    if work.context.database.is_sqlite:
        await _merge_sqlite(work, stored)
        return
    gateways, epochs, lanes = zip(*stored, strict=True)
    values = {"gateways": list(gateways), "epochs": list(epochs), "lanes": list(lanes), "at": work.now}
    await work.connection.execute(_MERGE, values | {"ranges": [format_ranges(r) for r in stored.values()]})


async def _merge_sqlite(work: Work, stored: Mapping[Key, Sequence[SeqRange]]) -> None:
    keys = list(stored)
    known: dict[Key, str] = {}
    for begin in range(0, len(keys), _READ_AT_ONCE):
        gateways = {key[0] for key in keys[begin : begin + _READ_AT_ONCE]}
        for row in await work.all(select(ledger).where(ledger.c.gateway_id.in_(gateways))):
            known[row["gateway_id"], row["epoch"], row["lane"]] = row["ranges"]
    rows = []
    for key, ranges in stored.items():
        merged = RangeSet(parse_ranges(known.get(key, "{}")))
        for first, last in ranges:
            merged.add_range(first, last)
        place = dict(zip(("gateway_id", "epoch", "lane"), key, strict=True))
        rows.append({**place, "ranges": format_ranges(merged), "updated_at": work.now})
    await upsert(work.connection, ledger, rows)


async def stored_ranges(work: Work, gateway: str) -> dict[tuple[str, str], list[SeqRange]]:
    """Everything stored of one gateway, by epoch and lane."""
    columns = ledger.c.epoch, ledger.c.lane, cast(ledger.c.ranges, Text).label("ranges")
    rows = await work.all(select(*columns).where(ledger.c.gateway_id == gateway))
    return {(row["epoch"], row["lane"]): parse_ranges(row["ranges"]) for row in rows}


def format_ranges(ranges: Iterable[SeqRange]) -> str:
    """Ranges as PostgreSQL writes a multirange: half-open."""
    return "{" + ",".join(f"[{first},{last + 1})" for first, last in ranges) + "}"


def parse_ranges(written: str) -> list[SeqRange]:
    """The inverse of `format_ranges`."""
    return [(int(first), int(end) - 1) for first, end in _PAIR.findall(written)]
