"""Impacts in the signal of one wearable, each with the seconds around it: the cheap first stage of the fall detector.

Theory of operation. Frames of any rate and length become one signal at RATE_HZ. An impact is a magnitude of LOWEST_G
or more that nothing within NEIGHBOURHOOD exceeds; it is handed on when AFTER samples behind it are known. If the signal
breaks off before that (the wearable broke, the radio link went, or the device sends excerpts only), it is handed on
with what there is, if that is at least SHORTEST_AFTER. Positions count samples, never time stamps: a clock that steps
changes nothing. Short holes are bridged; one that hides most of the seconds that matter makes the impact `broken`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.detectors.fall_features import AFTER, BEFORE, NEIGHBOURHOOD, RATE_HZ, Signal, bridged
from edge.readings import SignalFrame
from edge.windows import StreamingWindow

AXES: Final = ("ax", "ay", "az")
LOWEST_RATE_HZ: Final = 12.0
HIGHEST_RATE_HZ: Final = 1_000.0
LOWEST_G: Final = 1.6
SHORTEST_BEFORE: Final = 50
SHORTEST_AFTER: Final = 75
MOST_MISSING: Final = 0.4
"""Share of the samples around an impact (and of the second either side of it) that may be missing."""

_WINDOW_S = 24.0
_BREAK_S = 7.0
_PART_S = 5.0
_PLAUSIBLE_G = (0.5, 1.6)
_MOST_G = 220.0


@dataclass(frozen=True, slots=True, eq=False)
class Impact:
    """`rows` (n, 3), g at RATE_HZ, nothing missing; the impact is row `row`, its index in the signal `index`.

    `at` is the Unix time of the impact, `start_at` that of the first row.
    """

    index: int
    at: float
    start_at: float
    rows: Signal
    row: int


class ImpactFinder:
    """Takes frames of one device in order and hands on each impact once.

    `counts` holds what was looked at: `impact`, `broken` (signal missing around it), `implausible` (no gravity: wrong
    units, or a dead sensor), and frames that could not be used: `unusable_rate`, `unusable_channels`.
    """

    def __init__(self) -> None:
        self._window = StreamingWindow(RATE_HZ, _WINDOW_S, AXES, _BREAK_S)
        self._next = 0
        self.counts: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """How many samples there have been, breaks included."""
        return self._window.total

    def push(self, frame: SignalFrame) -> Iterator[Impact]:
        """The impacts that this frame completes, oldest first."""
        if not LOWEST_RATE_HZ <= frame.rate_hz <= HIGHEST_RATE_HZ:
            self.counts["unusable_rate"] += 1
            return
        if not set(AXES) <= set(frame.channels):
            self.counts["unusable_channels"] += 1
            return
        for part in _parts(frame):
            self._window.push(part)
            yield from self._complete(self._window.total - AFTER)

    def flush(self) -> Iterator[Impact]:
        """The impacts that still waited for signal, now that there is none any more."""
        yield from self._complete(self._window.total - SHORTEST_AFTER)

    def state(self) -> dict[str, Any]:
        """What is needed to go on in the middle of an event, as plain JSON values."""
        return {"next": self._next, "window": self._window.state((BEFORE + AFTER + NEIGHBOURHOOD) / RATE_HZ)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state; raises ValueError, TypeError or KeyError if it is none."""
        following = int(state["next"])
        self._window.restore(state["window"])
        self._next = following

    def _complete(self, stop: int) -> Iterator[Impact]:
        first = max(self._next, self._window.first + SHORTEST_BEFORE)
        self._next = max(stop, self._next)
        if stop <= first:
            return
        for index in self._peaks(first, stop):
            impact = self._around(index)
            if impact is not None:
                yield impact

    def _peaks(self, first: int, stop: int) -> list[int]:
        start = max(self._window.first, first - NEIGHBOURHOOD)
        rows = self._window.view(start, stop + NEIGHBOURHOOD)
        magnitude = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        magnitude[np.isnan(magnitude)] = 0.0
        high = np.flatnonzero(magnitude[first - start : stop - start] >= LOWEST_G) + first - start
        found: list[int] = []
        for i in high:
            around = magnitude[max(0, i - NEIGHBOURHOOD) : i + NEIGHBOURHOOD + 1]
            earlier = magnitude[max(0, i - NEIGHBOURHOOD) : i]
            if magnitude[i] == around.max() and not (earlier == magnitude[i]).any():
                found.append(int(i) + start)
        return found

    def _around(self, index: int) -> Impact | None:
        start = max(self._window.first, index - BEFORE)
        rows = self._window.view(start, index + AFTER)
        row = index - start
        self.counts["impact"] += 1
        missing = np.isnan(rows.sum(axis=1))
        if missing.any():
            known = np.flatnonzero(~missing)
            near = missing[max(0, row - RATE_HZ) : row + RATE_HZ]
            begin, end = int(known[0]), int(known[-1]) + 1
            if (
                row - begin < SHORTEST_BEFORE
                or end - row < SHORTEST_AFTER
                or missing[begin:end].mean() > MOST_MISSING
                or near.mean() > MOST_MISSING
            ):
                self.counts["broken"] += 1
                return None
            rows, row, start = rows[begin:end], row - begin, start + begin
        rows = bridged(rows).copy()
        magnitude = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        low, high = _PLAUSIBLE_G
        if not low <= _median(magnitude) <= high or float(magnitude.max()) > _MOST_G:
            self.counts["implausible"] += 1
            return None
        at, start_at = (float(self._window.times(i, i + 1)[0]) for i in (index, start))
        return Impact(index, at, start_at, rows, row)


def _median(values: NDArray[np.float64]) -> float:
    """As numpy.median, whose first call imports all of numpy.ma: for a tenth of a second, in the middle of a fall."""
    ordered = np.sort(values)
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _parts(frame: SignalFrame) -> Iterator[SignalFrame]:
    """A long frame in pieces the window can hold."""
    size = max(1, int(frame.rate_hz * _PART_S))
    if len(frame.samples) <= size:
        yield frame
        return
    for start in range(0, len(frame.samples), size):
        at = frame.at + start / frame.rate_hz
        yield replace(frame, at=at, samples=frame.samples[start : start + size])
