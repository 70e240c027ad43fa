"""When a silence is too long for this home at this hour: an alert line learned from its own days, and its budget.

Theory of operation. A home's past is a list of silences (start, end, context); time away or unobserved is in the list
too and counts as unknown. For every quarter of an hour of the day, each past day says how long it had been quiet then.
The alert line is a high quantile of that over the days (after Cuddihy et al. 2007, "Algorithm to automatically detect
abnormally long periods of inactivity in a home"). A silence is scored by how far it exceeds the line. What excess is
alarming is not fixed: every past day is scored against the line of the other days, and from the distribution of those
daily maxima the excess is taken that a day reaches by chance as rarely as the budget allows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 96
_BIN_S = 86_400 // BINS
SHORTEST_S = 900.0
"""A shorter silence is not remembered."""
DAYS_KEPT = 42
MOST_SILENCES = 2_000
DAYS_NEEDED = 5
"""Whole days before the line is used; until then the fixed limit holds."""
_DAYS_FOR_WEEKDAYS = 28
_QUANTILE = 0.96
"""The longest of a few days; the second longest of six weeks, so that one odd day does not stand for all of them."""
_EARLIER, _LATER = 3, 8
"""Quarters of an hour by which a habit may come earlier; and in which its weight fades when it comes later."""
_OFFSET_H = 2.0
"""Added to both sides, so that minutes more than minutes are no excess."""
_PRIOR_SPREAD, _PRIOR_DAYS = 0.2, 4.0
"""Spread of the logarithm of the daily excess expected before any day was seen, and how many days that is worth."""
UNKNOWN = "unknown"

Line = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a silence compares: hours quiet, the alert line here, the excess, the excess that alarms, and how likely a
    day of this home is to hold such an excess by chance (None without a model).
    """

    quiet_h: float
    usual_h: float
    excess: float
    limit: float
    chance: float | None

    @property
    def too_long(self) -> bool:
        """Whether the budget is spent on this one."""
        return self.excess > self.limit


class Rhythm:
    """The silences of one home and what they make of the present one. Pure; local time by `zone`."""

    def __init__(self, zone: tzinfo, contexts: tuple[str, ...], *, budget_per_30_days: float, fixed_h: float) -> None:
        self._zone = zone
        self._contexts = contexts
        self._budget = budget_per_30_days
        self._fixed_h = fixed_h
        self._silences: list[tuple[float, float, str]] = []
        self._built: int | None = None
        self._lines: dict[bool, Line] = {}
        self._excesses: NDArray[np.float64] = np.zeros(0)

    @property
    def days(self) -> int:
        """How many whole days the present line rests on."""
        return len(self._excesses)

    def learn(self, start: float, end: float, context: str) -> None:
        """A silence is over; `context` UNKNOWN says that nothing is known of that time."""
        if end - start < SHORTEST_S:
            return
        self._silences.append((float(round(start)), float(round(end)), context))
        if len(self._silences) > MOST_SILENCES or self._silences[0][1] < end - DAYS_KEPT * 86_400:
            self._silences = [s for s in self._silences if s[1] >= end - DAYS_KEPT * 86_400][-MOST_SILENCES:]

    def forget(self, spans: list[tuple[float, float]]) -> None:
        """These silences turned out to say nothing: somebody had left by a door not recognised then."""
        gone = {(round(a), round(b)) for a, b in spans}
        self._silences = [(a, b, UNKNOWN if (a, b) in gone else c) for a, b, c in self._silences]
        self._built = None

    def judge(self, start: float, context: str, now: float, share: float = 1.0) -> Verdict:
        """Score the silence from `start` to `now`; `share` (0 to 1) is how much of the home can still be heard."""
        quiet = max(0.0, now - start) / 3600.0 * share
        local = self._local(now)
        if local.toordinal() != self._built:
            self._rebuild(local.toordinal())
        if self.days < DAYS_NEEDED:
            return Verdict(quiet, self._fixed_h, quiet / self._fixed_h, 1.0, None)
        line = self._lines[_weekend(local.toordinal()) if len(self._lines) > 1 else False]
        usual = float(line[self._contexts.index(context), _bin(local)])
        excess = (quiet + _OFFSET_H) / (usual + _OFFSET_H)
        return Verdict(quiet, usual, excess, self._limit(), self._chance(excess))

    def state(self) -> list[list[Any]]:
        """The silences as plain values, times to the second."""
        return [[int(a), int(b), c] for a, b, c in self._silences]

    def restore(self, state: object) -> None:
        """Take up what `state` gave. Raises ValueError."""
        self._silences = _silences(state, (*self._contexts, UNKNOWN))
        self._built = None

    def _local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, UTC).astimezone(self._zone)

    def _rebuild(self, today: int) -> None:
        self._built = today
        self._lines, self._excesses = {}, np.zeros(0)
        quiet, days = self._table(today)
        if len(days) < DAYS_NEEDED:
            return
        wide = _dilated(quiet)
        weekends = np.array([_weekend(day) for day in days])
        classes = [weekends, ~weekends] if len(days) >= _DAYS_FOR_WEEKDAYS else [np.ones(len(days), bool)]
        excesses = np.zeros(len(days))
        for members in classes:
            if not members.any():
                continue
            index = np.flatnonzero(members)
            self._lines[bool(weekends[index[0]]) and len(classes) > 1] = self._line(wide[index])
            for i in index:
                others = self._line(wide[index[index != i]])
                excesses[i] = np.nanmax((np.nan_to_num(quiet[i]) + _OFFSET_H) / (others + _OFFSET_H))
        if len(classes) > 1 and len(self._lines) < 2:
            self._lines = {False: next(iter(self._lines.values()))}
        self._excesses = np.log(np.maximum(excesses, 1e-3))

    def _line(self, days: NDArray[np.float64]) -> Line:
        """The high quantile over days, shape (contexts, BINS); the fixed limit where no day is known."""
        ordered = np.sort(days, axis=0)
        known = (~np.isnan(days)).sum(axis=0)
        place = np.ceil(_QUANTILE * np.maximum(known - 1, 0)).astype(np.int64)
        line = np.take_along_axis(ordered, place[None], axis=0)[0] if len(days) else np.full(days.shape[1:], np.nan)
        result: Line = np.where(np.isnan(line), self._fixed_h, line)
        return result

    def _table(self, today: int) -> tuple[NDArray[np.float64], list[int]]:
        """Hours of silence by whole past day, context and quarter of an hour; NaN where unknown."""
        ordinals: dict[int, int] = {}
        spans = [(self._local(a), self._local(b), c) for a, b, c in self._silences]
        for begin, end, _ in spans:
            for day in range(begin.toordinal(), min(end.toordinal(), today - 1) + 1):
                ordinals.setdefault(day, 0)
        days = sorted(day for day in ordinals if day < today)[1:][-DAYS_KEPT:]
        row = {day: i for i, day in enumerate(days)}
        table = np.zeros((len(days), len(self._contexts), BINS))
        for begin, end, context in spans:
            self._enter(table, row, begin, end, context)
        known = np.flatnonzero((~np.isnan(table)).any(axis=(1, 2)))
        return table[known], [days[i] for i in known]

    def _enter(
        self, table: NDArray[np.float64], row: dict[int, int], begin: datetime, end: datetime, context: str
    ) -> None:
        """Write one silence into every quarter of an hour it touches."""
        for day in range(begin.toordinal(), end.toordinal() + 1):
            if day not in row:
                continue
            midnight = datetime.fromordinal(day).replace(tzinfo=self._zone).timestamp()
            a, b = begin.timestamp() - midnight, end.timestamp() - midnight
            bins = np.arange(max(0, int(a // _BIN_S)), min(BINS, int(b // _BIN_S) + 1))
            if context == UNKNOWN:
                table[row[day], :, bins] = np.nan
                continue
            hours = (np.minimum((bins + 1) * _BIN_S, b) - a) / 3600.0
            cell = table[row[day], self._contexts.index(context)]
            cell[bins] = np.fmax(cell[bins], hours)

    def _limit(self) -> float:
        """The excess a day reaches by chance with the budget's probability: Student's t over the logarithms of past
        days with a prior on their spread, and never below what the days themselves say (their order statistic).
        """
        n = self.days
        chance = min(self._budget / 30.0, 0.5)
        centre, spread, freedom = self._fit()
        z = NormalDist().inv_cdf(1 - chance) * (8 * freedom + 3) / (8 * freedom + 1)
        t = math.sqrt(freedom * math.expm1(z * z / freedom))
        seen = np.sort(self._excesses)[max(0, n - 1 - int(chance * n))]
        return math.exp(max(centre + spread * t, float(seen)))

    def _chance(self, excess: float) -> float:
        centre, spread, freedom = self._fit()
        t = (math.log(excess) - centre) / spread
        z = math.copysign(math.sqrt(freedom * math.log1p(t * t / freedom)), t) * (8 * freedom + 1) / (8 * freedom + 3)
        return 1 - NormalDist().cdf(z)

    def _fit(self) -> tuple[float, float, float]:
        n = self.days
        centre = float(self._excesses.mean())
        squares = float(((self._excesses - centre) ** 2).sum()) + _PRIOR_DAYS * _PRIOR_SPREAD**2
        freedom = n - 1 + _PRIOR_DAYS
        return centre, math.sqrt(squares / freedom * (1 + 1 / n)), freedom


def _dilated(quiet: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest value of `_EARLIER` quarters of an hour ahead and of `_LATER` behind, these fading to nothing;
    running on from day to day.
    """
    days, contexts, bins = quiet.shape
    flat = quiet.transpose(1, 0, 2).reshape(contexts, days * bins)
    padded = np.pad(flat, ((0, 0), (_LATER, _EARLIER)), constant_values=np.nan)
    wide = flat
    for shift in range(-_EARLIER, _LATER):
        begin = _LATER - shift
        wide = np.fmax(wide, padded[:, begin : begin + days * bins] * (1 - max(shift, 0) / _LATER))
    wide = np.where(np.isnan(flat), np.nan, wide)
    result: NDArray[np.float64] = wide.reshape(contexts, days, bins).transpose(1, 0, 2)
    return result


def _weekend(ordinal: int) -> bool:
    return (ordinal - 1) % 7 >= 5


def _bin(local: datetime) -> int:
    return (local.hour * 60 + local.minute) * 60 // _BIN_S


def _silences(state: object, contexts: tuple[str, ...]) -> list[tuple[float, float, str]]:
    if not isinstance(state, list) or len(state) > MOST_SILENCES:
        raise ValueError("silences: not a list, or too long")
    found: list[tuple[float, float, str]] = []
    for row in state:
        match row:
            case [int() | float() as a, int() | float() as b, str(context)] if a <= b and context in contexts:
                if not (math.isfinite(a) and math.isfinite(b)):
                    raise ValueError("silences: a time that is not finite")
                found.append((float(a), float(b), context))
            case _:
                raise ValueError(f"silences: {row!r:.80} is none")
    return found
