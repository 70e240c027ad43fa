"""Impacts in the signal of one wearable, each with the seconds around it: the cheap first stage of the fall detector.

Theory of operation. Frames of any rate and length become one signal at RATE_HZ. An impact is a magnitude of LOWEST_G
or more that nothing within NEIGHBOURHOOD exceeds; it is handed on when AFTER samples behind it are known. If the signal
breaks off before that (the wearable broke, the radio link went, or the device sends excerpts only), it is handed on
with what there is, if that is at least SHORTEST_AFTER. Positions count samples, never time stamps: a clock that steps
changes nothing. Short holes are bridged; one that hides most of the seconds that matter makes the impact `broken`.
The exception is an impact behind which the power went (edge.detectors.fall_power_cut).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.detectors.fall_features import AFTER, BEFORE, NEIGHBOURHOOD, RATE_HZ, Signal, bridged
from edge.detectors.fall_power_cut import PowerCut, as_if_lying
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
STRONG_G: Final = 2.0
"""An impact from here on is kept on flash at once, before it is judged; docs/fall-model.md says what that costs."""

_WINDOW_S = 24.0
_BREAK_S = 7.0
_PART_S = 5.0
_PLAUSIBLE_G = (0.5, 1.6)
_MOST_G = 220.0


@dataclass(frozen=True, slots=True, eq=False)
class Impact:
    """`rows` (n, 3), g at RATE_HZ, nothing missing; the impact is row `row`, its index in the signal `index`.

    `at` is the Unix time of the impact, `start_at` that of the first row. `away_s` is where a restart lies in the rows
    behind the impact how long it took by the clock, else None.
    """

    index: int
    at: float
    start_at: float
    rows: Signal
    row: int
    away_s: float | None = None


class ImpactFinder:
    """Takes frames of one device in order and hands on each impact once.

    `counts` holds what was looked at: `impact`, `broken` (signal missing around it), `implausible` (no gravity: wrong
    units, or a dead sensor), and frames that could not be used: `unusable_rate`, `unusable_channels`.
    """

    def __init__(self) -> None:
        self._window = StreamingWindow(RATE_HZ, _WINDOW_S, AXES, _BREAK_S)
        self._next = 0
        self._strong, self._strong_g = -1, 0.0
        self._ended: int | None = None
        self._cut: PowerCut | None = None
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
            self._note_strong(self._window.push(part))
            yield from self._complete(self._window.total - AFTER)
            yield from self._after_cut()

    def unjudged(self) -> int | None:
        """Which strong impact still waits for signal, if any: the same number as long as nothing stronger came."""
        if self._cut is not None:
            return self._cut.index
        return self._strong if self._strong >= self._next else None

    def lying(self, index: int) -> tuple[Signal, int] | None:
        """The rows around a strong impact and its row, as if the person lay still from now on; None if too little was
        known before it.
        """
        start = max(self._window.first, index - BEFORE)
        rows = self._window.view(start, min(index + AFTER, self._window.total))
        if index - start < SHORTEST_BEFORE or np.isnan(rows.sum(axis=1)).mean() > MOST_MISSING:
            return None
        return as_if_lying(bridged(rows), index - start), index - start

    @property
    def cut(self) -> bool:
        """Whether an impact behind which the power went waits for signal."""
        return self._cut is not None

    def flush(self) -> Iterator[Impact]:
        """The impacts that still waited for signal, now that there is none any more."""
        yield from self._complete(self._window.total - SHORTEST_AFTER)

    def state(self) -> dict[str, Any]:
        """What is needed to go on in the middle of an event, as plain JSON values."""
        cut = None if self._cut is None else self._cut.state()
        window = self._window.state((BEFORE + AFTER + NEIGHBOURHOOD) / RATE_HZ)
        return {"next": self._next, "window": window, "cut": cut}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state; raises ValueError, TypeError or KeyError if it is none."""
        following = int(state["next"])
        cut = None if state.get("cut") is None else PowerCut.of(state["cut"])  # older states have none
        self._window.restore(state["window"])
        self._next, self._cut, self._ended = following, cut, self._window.total
        self._strong, self._strong_g = -1, 0.0
        self._note_strong(self._window.total - max(self._next, self._window.first))

    def _note_strong(self, newest: int) -> None:
        """Look through the newest samples for a strong impact, later than a second after the last or stronger."""
        start = self._window.total - newest
        rows = self._window.view(start, self._window.total)
        start = self._window.total - len(rows)
        magnitude = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        magnitude[np.isnan(magnitude)] = 0.0
        if not (magnitude >= STRONG_G).any() or not self._in_g():
            return
        at, peak = int(magnitude.argmax()) + start, float(magnitude.max())
        if at - self._strong > NEIGHBOURHOOD or peak > self._strong_g:
            self._strong, self._strong_g = at, peak

    def _after_cut(self) -> Iterator[Impact]:
        """The impact behind which the power went, once enough signal came after it."""
        cut = self._cut
        if cut is None:
            return
        more = cut.more(self._window.view(cut.since, self._window.total), AFTER)
        if more is None:
            return
        self._cut = None
        first = max(cut.since, self._window.first) + more.first
        away_s = float(self._window.times(first, first + 1)[0]) - cut.end_at
        if not cut.near(away_s) or np.isnan(more.rows.sum(axis=1)).mean() > MOST_MISSING:
            self.counts["broken"] += 1
            return
        impact = Impact(
            cut.index, cut.at, cut.start_at, np.concatenate((cut.rows, bridged(more.rows))), cut.row, away_s
        )
        if self._plausible(impact.rows):
            yield impact

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
                self._broken(index, start + begin)
                return None
            rows, row, start = rows[begin:end], row - begin, start + begin
        rows = bridged(rows).copy()
        if not self._plausible(rows):
            return None
        at, start_at = (float(self._window.times(i, i + 1)[0]) for i in (index, start))
        return Impact(index, at, start_at, rows, row)

    def _broken(self, index: int, start: int) -> None:
        """Too little signal around an impact: given up, unless it is the strongest behind which the power went."""
        if not self._waits_behind_cut(index, start):
            self.counts["broken"] += 1

    def _waits_behind_cut(self, index: int, start: int) -> bool:
        if self._ended is None or not index < self._ended <= index + AFTER:
            return False
        rows = self._window.view(start, self._ended)
        rows = rows[: np.flatnonzero(~np.isnan(rows.sum(axis=1)))[-1] + 1]
        row, before = index - start, np.isnan(rows[: index - start].sum(axis=1))
        peak = float(np.sqrt(np.sum(rows[row] ** 2)))
        missing = row < SHORTEST_BEFORE or max(before.mean(), before[-RATE_HZ:].mean()) > MOST_MISSING
        if missing or peak < max(STRONG_G, 0.0 if self._cut is None else self._cut.peak):
            return False
        at, start_at, end_at = (float(self._window.times(i, i + 1)[0]) for i in (index, start, start + len(rows) - 1))
        self._cut = PowerCut(index, at, start_at, end_at, bridged(rows).copy(), row, self._ended)
        return True

    def _in_g(self) -> bool:
        """Whether the last seconds are about gravity: a device in other units has a strong impact in every sample."""
        rows = self._window.view(self._window.total - BEFORE, self._window.total)
        known = rows[~np.isnan(rows.sum(axis=1))]
        return len(known) > 0 and self._about_gravity(np.sqrt(np.einsum("ij,ij->i", known, known)))

    @staticmethod
    def _about_gravity(magnitude: Signal) -> bool:
        low, high = _PLAUSIBLE_G
        return low <= _median(magnitude) <= high

    def _plausible(self, rows: Signal) -> bool:
        magnitude = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        if self._about_gravity(magnitude) and float(magnitude.max()) <= _MOST_G:
            return True
        self.counts["implausible"] += 1
        return False


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
