"""`anju-cloud audit deliveries`: from the `delivery` measurement alone, is anything missing or doubled?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cloud.timeseries.base import Proof, TimeSeriesStore
from protocols.delivery import RangeSet
from protocols.wire import SeqRange

Place = tuple[str, str, str, str]
"""Home, gateway, epoch, lane."""
_FROM_THE_FIRST = 0.0


@dataclass(slots=True)
class Deliveries:
    """What is proven; `missing` and `doubled` name places and sequences."""

    batches: int = 0
    gateways: int = 0
    missing: dict[Place, list[SeqRange]] = field(default_factory=dict)
    doubled: dict[Place, list[int]] = field(default_factory=dict)

    @property
    def missing_count(self) -> int:
        """How many batches are missing."""
        return sum(last - first + 1 for ranges in self.missing.values() for first, last in ranges)

    @property
    def doubled_count(self) -> int:
        """How many batches stand there more than once."""
        return sum(len(sequences) for sequences in self.doubled.values())

    def report(self) -> dict[str, Any]:
        """Plain values, as `--json` writes them."""

        def name(place: Place) -> dict[str, str]:
            return dict(zip(("home", "gateway", "epoch", "lane"), place, strict=True))

        return {
            "batches": self.batches,
            "gateways": self.gateways,
            "missing": self.missing_count,
            "doubled": self.doubled_count,
            "missing_in": [name(place) | {"ranges": ranges} for place, ranges in sorted(self.missing.items())],
            "doubled_in": [name(place) | {"sequences": seqs} for place, seqs in sorted(self.doubled.items())],
        }


async def audit(store: TimeSeriesStore, start: float, end: float, home: str | None = None) -> Deliveries:
    """Look at batches sent from `start` to `end` (Unix seconds).

    Missing is a number below one that is there, in the same epoch and lane, that stands nowhere in the measurement.
    Doubled is one that stands there with two different times: a batch that changed between two sendings, which no
    store could recognise as the same. Raises StoreError.
    """
    held: dict[Place, RangeSet] = {}
    result = Deliveries()
    async for proofs in store.proofs(start, end, home):
        result.batches += len(proofs)
        _note(proofs, held, result)
    result.gateways = len({place[1] for place in held})
    for place, ranges in held.items():
        gaps = ranges.gaps(first=next(iter(ranges))[0])
        if gaps:
            _, gateway, epoch, lane = place
            everything = await store.delivered(gateway, _FROM_THE_FIRST, end + 366 * 86_400)
            known = RangeSet(next((r for (e, n), r in everything.items() if (e, str(n)) == (epoch, lane)), []))
            left = [(a, b) for a, b in known.gaps() if any(a <= last and b >= first for first, last in gaps)]
            if left:
                result.missing[place] = left
    return result


def _note(proofs: Iterable[Proof], held: dict[Place, RangeSet], result: Deliveries) -> None:
    for proof in proofs:
        place = (proof.home, proof.gateway, proof.epoch, str(proof.lane))
        ranges = held.get(place)
        if ranges is None:
            ranges = held[place] = RangeSet()
        if not ranges.add(proof.seq):
            result.doubled.setdefault(place, []).append(proof.seq)
