"""What is usual for one person: robust centre and spread by time of day, and the slow drift away from it.

Theory of operation. Every quarter of a day of every metric has one figure: the median of what was measured in it (at
most 64 values, thinned evenly). The baseline of a quarter is the median and the scaled median absolute deviation of
that quarter's figures of the last 42 days, the newest three left out, so that an illness does not become its own
baseline. The figures of a day give one standardised deviation, and a two-sided CUSUM (Page 1954, Biometrika 41:100)
adds it up. Its reference value is half of the shift to be found, one standard deviation (Montgomery and Runger, Applied
Statistics and Probability for Engineers, section 16-10; Page's paper not re-read). The decision interval they advise, 4
or 5, holds for a known centre and spread and independent days; what intervals give with a learned baseline is measured
by `anju-evaluate drift` (docs/results/drift.json).
"""

from __future__ import annotations

import math
import statistics
from typing import Any

QUARTERS = 4
DAYS_KEPT = 42
DAYS_NEEDED = 10
_NEWEST_LEFT_OUT = 3
_MOST_VALUES = 64
ALLOWANCE = 0.5
DECISION = 8.0
"""Decision interval of the CUSUM, for vital signs and for habits. Chosen by `anju-evaluate drift` (docs/results/
drift.json): of a figure a day, 5 would give a well person 3 to 8 false notices a year, 8 gives 0.5 to 2.3.
"""
_CLIP = 4.0
_MAD_TO_SD = 1.4826


class Baseline:
    """One metric of one person. `least_spread` is the spread below which differences are no news (its unit); `decision`
    is how far, in standard deviations, the CUSUM must go.
    """

    __slots__ = ("_day", "_days", "_decision", "_least", "_stride", "_taken", "_values", "high", "low")

    def __init__(self, least_spread: float, decision: float = DECISION) -> None:
        self._least, self._decision = least_spread, decision
        self._days: list[tuple[int, list[float | None]]] = []
        self._day: int | None = None
        self._values: list[list[float]] = [[] for _ in range(QUARTERS)]
        self._stride, self._taken = [1] * QUARTERS, [0] * QUARTERS
        self.high = self.low = 0.0

    @property
    def days(self) -> int:
        """Days that the baseline rests on."""
        return max(0, len(self._days) - _NEWEST_LEFT_OUT)

    def add(self, value: float, day: int, hour: int) -> float | None:
        """Take a value of local `day` (ordinal) and `hour`; at the first of a new day the drift of the day before, as
        a signed CUSUM beyond the decision interval, else None.
        """
        signal = None
        if self._day is None or day > self._day or day < self._day - 1:
            signal = self._close() if self._day is not None and day > self._day else None
            self._day = day
            self._values = [[] for _ in range(QUARTERS)]
            self._stride, self._taken = [1] * QUARTERS, [0] * QUARTERS
        self._keep(value, hour * QUARTERS // 24)
        return signal

    def usual(self, quarter: int) -> tuple[float, float] | None:
        """Centre and spread of a quarter of the day; None while it is not known."""
        known = [figures[quarter] for _, figures in self._days[:-_NEWEST_LEFT_OUT]]
        values = [v for v in known if v is not None]
        if len(values) < DAYS_NEEDED:
            return None
        centre = statistics.median(values)
        spread = _MAD_TO_SD * statistics.median(abs(v - centre) for v in values)
        return centre, max(spread, self._least)

    def _keep(self, value: float, quarter: int) -> None:
        """Every value, then every second, every fourth, so that the room is enough for any rate."""
        kept = self._values[quarter]
        if self._taken[quarter] % self._stride[quarter] == 0:
            kept.append(value)
        self._taken[quarter] += 1
        if len(kept) > _MOST_VALUES:
            del kept[1::2]
            self._stride[quarter] *= 2

    def _close(self) -> float | None:
        assert self._day is not None
        figures = [statistics.median(values) if values else None for values in self._values]
        deviations = []
        for quarter, figure in enumerate(figures):
            usual = self.usual(quarter)
            if figure is not None and usual is not None:
                deviations.append(max(-_CLIP, min(_CLIP, (figure - usual[0]) / usual[1])))
        self._days.append((self._day, figures))
        self._days = [row for row in self._days[-DAYS_KEPT:] if row[0] > self._day - DAYS_KEPT]
        if not deviations:
            return None
        z = statistics.fmean(deviations)
        self.high = max(0.0, self.high + z - ALLOWANCE)
        self.low = max(0.0, self.low - z - ALLOWANCE)
        if max(self.high, self.low) <= self._decision:
            return None
        signal = self.high if self.high >= self.low else -self.low
        self.high = self.low = 0.0
        return signal

    def state(self) -> dict[str, Any]:
        """Plain values; at most 42 days of four figures and today's 256 values."""
        return {
            "days": [[day, figures] for day, figures in self._days],
            "day": self._day,
            "values": self._values,
            "stride": self._stride,
            "taken": self._taken,
            "cusum": [self.high, self.low],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Raises ValueError, KeyError or TypeError if it is none; then nothing changed."""
        days = [(int(day), _figures(figures)) for day, figures in state["days"]]
        values = [[_finite(v) for v in quarter] for quarter in state["values"]]
        stride, taken = ([int(n) for n in state[name]] for name in ("stride", "taken"))
        high, low = (_finite(v) for v in state["cusum"])
        if not len(values) == len(stride) == len(taken) == QUARTERS or min(stride) < 1:
            raise ValueError("baseline: not four quarters of a day")
        self._day = None if state["day"] is None else int(state["day"])
        self._days, self._values, self._stride, self._taken = days, values, stride, taken
        self.high, self.low = high, low


def _figures(row: Any) -> list[float | None]:
    if len(row) != QUARTERS:
        raise ValueError("baseline: not four quarters of a day")
    return [None if v is None else _finite(v) for v in row]


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"baseline: {value!r:.40} is not a finite number")
    return float(value)
