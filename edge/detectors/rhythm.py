"""When a silence is too long for this home at this hour: an alert line learned from its own days, and its budget.

Theory of operation. A home's past is a list of silences (start, end, context); time away or unobserved is in the list
too and counts as unknown. From them comes what is usual (`past_silences`). A silence is scored by how far it exceeds
that. What excess is alarming is not fixed: every past day is scored against the line of the other days, and from the
distribution of those daily maxima the excess is taken that a day reaches by chance as rarely as the budget allows. One
day in thirty cannot be read off a week or two: what other homes showed counts as so many days of this one's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.detectors.past_silences import Line, Moments, begin_of, bin_of, lay_out

SHORTEST_S = 900.0
"""A shorter silence is not remembered."""
DAYS_KEPT = 42
MOST_SILENCES = 2_000
DAYS_NEEDED = 5
"""Whole days before the line is used; until then the fixed limit holds."""
_DAYS_FOR_WEEKDAYS = 28
_OFFSET_H = 3.0
"""Added to both sides, so that minutes more than minutes are no excess."""
_PRIOR_CENTRE, _PRIOR_SPREAD, _PRIOR_DAYS = 0.1, 0.22, 8.0
"""Centre and spread of the logarithm of the daily excess, and how many days of a home's own they are worth
(docs/detectors/routine.md tells where they are from).
"""
_DAYS_FOR_ORDER = 20
"""The worst of fewer days says too little: the next day passes it too often, or it was odd by chance."""
UNKNOWN = "unknown"


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

    def __init__(
        self,
        zone: tzinfo,
        contexts: tuple[str, ...],
        *,
        budget_per_30_days: float,
        fixed_h: float,
        apart: frozenset[str] = frozenset(),
    ) -> None:
        """`apart` are contexts whose silences say nothing about those of others."""
        self._zone = zone
        self._contexts = contexts
        self._pooled = np.array([context not in apart for context in contexts])
        self._budget = budget_per_30_days
        self._fixed_h = fixed_h
        self._silences: list[tuple[float, float, str]] = []
        self._built: int | None = None
        self._lines: dict[bool, Line] = {}
        self._days = 0
        self._excesses: NDArray[np.float64] = np.zeros(0)

    @property
    def days(self) -> int:
        """How many whole days the present line rests on."""
        return self._days

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
        at = (self._contexts.index(context), bin_of(local), begin_of(self._local(start)))
        usual = float(line.usual_h(*(np.array([index]) for index in at))[0])
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
        self._lines, self._excesses, self._days = {}, np.zeros(0), 0
        index = {context: i for i, context in enumerate(self._contexts)}
        spans = [(self._local(a), self._local(b), index.get(c)) for a, b, c in self._silences]
        past = lay_out(spans, len(self._contexts), today, DAYS_KEPT)
        if len(past.days) < DAYS_NEEDED:
            return
        self._days = len(past.days)
        weekends = np.array([_weekend(day) for day in past.days])
        classes = [weekends, ~weekends] if self._days >= _DAYS_FOR_WEEKDAYS else [np.ones(self._days, bool)]
        excesses: list[float] = []
        for members in classes:
            if not members.any():
                continue
            own = np.flatnonzero(members)
            self._lines[bool(weekends[own[0]]) and len(classes) > 1] = past.line(own, self._fixed_h, self._pooled)
            for day in own:
                if len(past.moments[day].quiet_h):
                    others = past.line(own[own != day], self._fixed_h, self._pooled)
                    excesses.append(_excess(past.moments[day], others))
        if len(classes) > 1 and len(self._lines) < 2:
            self._lines = {False: next(iter(self._lines.values()))}
        self._excesses = np.log(excesses)

    def _limit(self) -> float:
        """The excess a day reaches by chance with the budget's probability; once enough days are known, never below
        what these themselves say (their order statistic), as odd days may be more frequent than in a normal law.
        """
        n, chance = len(self._excesses), min(self._budget / 30.0, 0.5)
        centre, spread, freedom = self._fit()
        z = NormalDist().inv_cdf(1 - chance) * (8 * freedom + 3) / (8 * freedom + 1)
        limit = centre + spread * math.sqrt(freedom * math.expm1(z * z / freedom))
        if n >= _DAYS_FOR_ORDER:
            limit = max(limit, float(np.sort(self._excesses)[n - 1 - int(chance * n)]))
        return math.exp(limit)

    def _chance(self, excess: float) -> float:
        centre, spread, freedom = self._fit()
        t = (math.log(excess) - centre) / spread
        z = math.copysign(math.sqrt(freedom * math.log1p(t * t / freedom)), t) * (8 * freedom + 1) / (8 * freedom + 3)
        return 1 - NormalDist().cdf(z)

    def _fit(self) -> tuple[float, float, float]:
        """Centre, spread and degrees of freedom of Student's t for the logarithm of the next day's excess: the
        posterior predictive of a normal law with a normal-inverse-gamma prior (Gelman et al., "Bayesian Data
        Analysis", 3rd ed., section 3.3).
        """
        n, prior = len(self._excesses), _PRIOR_DAYS
        mean = float(self._excesses.mean()) if n else _PRIOR_CENTRE
        squares = float(((self._excesses - mean) ** 2).sum()) + prior * _PRIOR_SPREAD**2
        squares += prior * n / (prior + n) * (mean - _PRIOR_CENTRE) ** 2
        centre = (prior * _PRIOR_CENTRE + n * mean) / (prior + n)
        return centre, math.sqrt(squares / (prior + n) * (1 + 1 / (prior + n))), prior + n


def _excess(of: Moments, line: Line) -> float:
    """The largest excess of a day's silences over a line."""
    usual = line.usual_h(of.context, of.at, of.begin)
    return float(((of.quiet_h + _OFFSET_H) / (usual + _OFFSET_H)).max())


def _weekend(ordinal: int) -> bool:
    return (ordinal - 1) % 7 >= 5


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
