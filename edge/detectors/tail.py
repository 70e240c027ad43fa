"""How rare a figure is among those seen before: a fading histogram on a log scale with a fitted tail beyond it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_BINS = 192
_PER_OCTAVE = 8
_LOWEST_EXPONENT = -8.0
_TAIL_SHARE = 0.03
_REFRESH = 16
_LIMIT = 6_000.0
_FLATTEST, _STEEPEST = 0.6, 0.06
"""Bounds of the mean log excess: a Pareto tail of index 1.7 at the heaviest, close to a normal one at the lightest."""
MAX_RARITY = 12.0


class TailProbability:
    """Rarity -log10 P(figure >= z) of a figure z >= 0 against its own past; constant memory.

    Above the 97th percentile the tail is a Pareto law whose index is the mean log excess (Hill 1975, Ann. Statist.
    3:1163), so that figures never seen before are told apart. Old figures fade: the counts are halved at 6,000.
    """

    __slots__ = ("_counts", "_excess", "_rarity", "_since", "_start", "_total")

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS)
        self._total = 0.0
        self._since = 0
        self._start = math.inf
        self._excess = _FLATTEST
        self._rarity: list[float] = [0.0] * _BINS

    def rarity(self, figure: float) -> float:
        """0 (usual) to 12; 0 while fewer than 32 figures are known."""
        if self._total < 32 or not figure > 0:
            return 0.0
        if figure <= self._start:
            return self._rarity[_bin(figure)]
        return min(MAX_RARITY, -math.log10(_TAIL_SHARE) + math.log(figure / self._start) / self._excess / math.log(10))

    def add(self, figure: float) -> None:
        """Remember a figure; one that is not a number is ignored."""
        if not figure >= 0:
            return
        self._counts[_bin(figure)] += 1
        self._total += 1
        self._since += 1
        if self._since >= _REFRESH:
            self._refresh()

    def state(self) -> dict[str, Any]:
        """The counts."""
        return {"counts": self._counts.tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        """Raises ValueError unless the state holds as many finite counts as there are bins."""
        counts = np.asarray(state.get("counts"), dtype=float)
        if counts.shape != (_BINS,) or not np.isfinite(counts).all() or (counts < 0).any():
            raise ValueError("counts: not a histogram of this detector")
        self._counts = counts
        self._total = float(counts.sum())
        self._refresh()

    def _refresh(self) -> None:
        self._since = 0
        if self._total > _LIMIT:
            self._counts *= 0.5
            self._total *= 0.5
        above = np.cumsum(self._counts[::-1])[::-1]
        share = (above - self._counts / 2 + 0.5) / (self._total + 1)
        self._rarity = np.maximum(0.0, -np.log10(np.minimum(share, 1.0))).tolist()
        tail = np.flatnonzero(above >= max(_TAIL_SHARE * self._total, 3.0))
        first = int(tail[-1]) if len(tail) else 0
        self._start = 2.0 ** (first / _PER_OCTAVE + _LOWEST_EXPONENT)
        counts = self._counts[first:]
        excess = float((counts * (np.arange(len(counts)) + 0.5)).sum()) / max(float(counts.sum()), 1.0)
        self._excess = min(_FLATTEST, max(_STEEPEST, excess * math.log(2) / _PER_OCTAVE))


def _bin(figure: float) -> int:
    if figure <= 2.0**_LOWEST_EXPONENT:
        return 0
    return min(_BINS - 1, int((math.log2(min(figure, 1e30)) - _LOWEST_EXPONENT) * _PER_OCTAVE))
