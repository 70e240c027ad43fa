"""Shifts of the level: means of the last values against the mean of those before them, by running sums."""

from __future__ import annotations

import math
from typing import Any

WIDTHS = (6, 24, 72)
REFERENCE = 240
_ROOM = 512
_RENEWED = 4_096
"""Sums are added up anew this often, so that rounding cannot pile up."""


class WindowMeans:
    """The last 512 values and the sums of both windows of each width."""

    __slots__ = ("_new", "_old", "_ring", "total")

    def __init__(self) -> None:
        self._ring = [0.0] * _ROOM
        self.total = 0
        self._new = dict.fromkeys(WIDTHS, 0.0)
        self._old = dict.fromkeys(WIDTHS, 0.0)

    def push(self, value: float) -> None:
        """Append."""
        n, ring = self.total, self._ring
        for width in WIDTHS:
            left = ring[(n - width) % _ROOM] if n >= width else 0.0
            gone = ring[(n - width - REFERENCE) % _ROOM] if n >= width + REFERENCE else 0.0
            self._new[width] += value - left
            self._old[width] += left - gone
        ring[n % _ROOM] = value
        self.total = n + 1
        if self.total % _RENEWED == 0:
            self._sum_up()

    def differences(self) -> dict[int, float]:
        """Mean of the last `width` values less the mean of the up to 240 before; 0 while too few are known."""
        found = {}
        for width in WIDTHS:
            before = min(self.total - width, REFERENCE)
            found[width] = self._new[width] / width - self._old[width] / before if before >= width else 0.0
        return found

    def state(self) -> dict[str, Any]:
        """The values and sums."""
        return {
            "ring": list(self._ring),
            "total": self.total,
            "new": [self._new[w] for w in WIDTHS],
            "old": [self._old[w] for w in WIDTHS],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Raises ValueError, KeyError or TypeError if it is none; then nothing changed."""
        ring, total = [float(v) for v in state["ring"]], state["total"]
        new, old = ([float(v) for v in state[name]] for name in ("new", "old"))
        if len(ring) != _ROOM or not isinstance(total, int) or total < 0 or not len(new) == len(old) == len(WIDTHS):
            raise ValueError("shift: not a state of these windows")
        if not all(map(math.isfinite, [*ring, *new, *old])):
            raise ValueError("shift: a number that is not finite")
        self._ring, self.total = ring, total
        self._new, self._old = dict(zip(WIDTHS, new, strict=True)), dict(zip(WIDTHS, old, strict=True))

    def _sum_up(self) -> None:
        n = self.total
        for width in WIDTHS:
            self._new[width] = math.fsum(self._ring[(n - i) % _ROOM] for i in range(1, width + 1))
            self._old[width] = math.fsum(self._ring[(n - width - i) % _ROOM] for i in range(1, REFERENCE + 1))
