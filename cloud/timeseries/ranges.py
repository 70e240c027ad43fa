"""Sequences proven by the `delivery` measurement, as ranges."""

from __future__ import annotations

from collections.abc import Iterable

from protocols.delivery import RangeSet
from protocols.wire import Lane, SeqRange


def ranges_by_lane(entries: Iterable[tuple[str, Lane, int]]) -> dict[tuple[str, Lane], list[SeqRange]]:
    """Epoch, lane and sequence of each entry as ranges by epoch and lane."""
    found: dict[tuple[str, Lane], RangeSet] = {}
    for epoch, lane, seq in entries:
        found.setdefault((epoch, lane), RangeSet()).add(seq)
    return {key: list(ranges) for key, ranges in found.items()}
