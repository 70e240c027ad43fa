"""How rare a figure is among those seen before: a fading histogram on a log scale with a fitted tail beyond it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BINS = 192
_PER_OCTAVE = 8
_LOWEST_EXPONENT = -8.0
_LOWEST = 2.0**_LOWEST_EXPONENT
_TAIL_SHARE = 0.03
_REFRESH = 16
_SELDOM = 64
"""The rarities are worked out anew every 16 figures at first, every 64 once a thousand are known."""
_LIMIT = 6_000.0
_FLATTEST, _STEEPEST = 0.6, 0.06
"""Bounds of the mean log excess: a Pareto tail of index 1.7 at the heaviest, close to a normal one at the lightest."""
MAX_RARITY = 12.0


class TailProbability:
    """Rarity -log10 P(figure >= z) of a figure z >= 0 against its own past; constant memory.

    Above the 97th percentile the tail is a Pareto law whose index is the mean log excess (Hill 1975, Ann. Statist.
    3:1163), so that figures never seen before are told apart. Old figures fade: the counts are halved at 6,000.
    """

    __slots__ = ("_base", "_counts", "_excess", "_rarity", "_recent", "_start", "_total")

    def __init__(self) -> None:
        self._counts = [0.0] * _BINS
        self._base: list[float] = list(self._counts)
        self._recent: list[int] = []
        self._total = 0.0
        self._start = math.inf
        self._excess = _FLATTEST
        self._rarity: list[float] = [0.0] * _BINS

    def take(self, figure: float) -> float:
        """Rarity of a figure, 0 (usual) to 12, which is then remembered; 0 while fewer than 32 are known, and for what
        is not a number (which is not remembered).
        """
        if not figure >= 0:
            return 0.0
        place = 0
        if figure > _LOWEST:
            place = min(_BINS - 1, int((math.log2(min(figure, 1e30)) - _LOWEST_EXPONENT) * _PER_OCTAVE))
        rarity = 0.0
        if self._total >= 32 and figure > 0:
            rarity = self._rarity[place]
            if figure > self._start:
                beyond = math.log(figure / self._start) / (self._excess * math.log(10))
                rarity = min(MAX_RARITY, beyond - math.log10(_TAIL_SHARE))
        self._counts[place] += 1
        self._total += 1
        self._recent.append(place)
        if len(self._recent) >= (_REFRESH if self._total < 1_000 else _SELDOM):
            self._refresh()
        return rarity

    def state(self) -> dict[str, Any]:
        """The counts that the rarities were last worked out from, and the figures since: what is restored goes on to
        the last bit as if it had never stopped.
        """
        return {"counts": list(self._base), "recent": list(self._recent)}

    def restore(self, state: dict[str, Any]) -> None:
        """Raises ValueError unless the state holds as many finite counts as there are bins."""
        counts, recent = np.asarray(state.get("counts"), dtype=float), state.get("recent", [])
        if counts.shape != (_BINS,) or not np.isfinite(counts).all() or (counts < 0).any():
            raise ValueError("counts: not a histogram of this detector")
        if not isinstance(recent, list) or len(recent) >= _SELDOM or any(r not in range(_BINS) for r in recent):
            raise ValueError("recent: not places of this histogram")
        self._work_out(counts)
        self._recent = [int(place) for place in recent]
        for place in self._recent:
            self._counts[place] += 1
            self._total += 1

    def _refresh(self) -> None:
        counts = np.array(self._counts)
        self._work_out(counts * 0.5 if self._total > _LIMIT else counts)

    def _work_out(self, counts: NDArray[np.float64]) -> None:
        """Rarities and the tail of these counts."""
        self._base, self._recent = counts.tolist(), []
        self._counts, self._total = list(self._base), float(counts.sum())
        above = np.cumsum(counts[::-1])[::-1]
        share = (above - counts / 2 + 0.5) / (self._total + 1)
        self._rarity = np.maximum(0.0, -np.log10(np.minimum(share, 1.0))).tolist()
        tail = np.flatnonzero(above >= max(_TAIL_SHARE * self._total, 3.0))
        first = int(tail[-1]) if len(tail) else 0
        self._start = 2.0 ** (first / _PER_OCTAVE + _LOWEST_EXPONENT)
        beyond = counts[first:]
        excess = float((beyond * (np.arange(len(beyond)) + 0.5)).sum()) / max(float(beyond.sum()), 1.0)
        self._excess = min(_FLATTEST, max(_STEEPEST, excess * math.log(2) / _PER_OCTAVE))
