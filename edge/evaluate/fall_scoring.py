"""Hits, misses and false alarms of one subject's stream, by the rule that every evaluation of falls here uses.

A hit is the first alarm within [impact - 1 s, impact + 10 s], or inside [start, end + 10 s] where the fall's extent is
labelled. Of the other alarms one per 30 s counts as false. An alarm's moment is when the detector gave it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.evaluate.joining import Placed, Stream

_BEFORE_S = 1.0
_AFTER_S = 10.0
ONE_ALARM_S = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One subject's result: falls hit with their delay, falls missed, and the trials in which false alarms came."""

    subject: str
    elder: bool
    hits: tuple[tuple[Placed, float], ...]
    missed: tuple[Placed, ...]
    false: tuple[Placed, ...]
    activity_s: float
    activities: int

    @property
    def judged_right(self) -> int:
        """Trials: falls found, and activities without a false alarm."""
        return len(self.hits) + self.activities - len({id(p) for p in self.false if not p.trial.is_fall})

    @property
    def trials(self) -> int:
        """Falls with a known impact, and activities."""
        return len(self.hits) + len(self.missed) + self.activities


def score(stream: Stream, alarms: Sequence[float]) -> Outcome:
    """`alarms` are Unix seconds in ascending order."""
    left = list(alarms)
    hits: list[tuple[Placed, float]] = []
    missed: list[Placed] = []
    for placed in stream.placed:
        impact = placed.trial.impact_s
        if impact is None:
            continue
        start, end = placed.trial.fall_s or (impact - _BEFORE_S, impact)
        inside = [a for a in left if placed.at + start <= a <= placed.at + end + _AFTER_S]
        if inside:
            hits.append((placed, inside[0] - placed.at - impact))
            left = [a for a in left if a not in inside]
        else:
            missed.append(placed)
    return Outcome(
        stream.subject,
        any(p.trial.elder for p in stream.placed),
        tuple(hits),
        tuple(missed),
        tuple(owner(stream, a) for a in _thinned(left)),
        sum(p.trial.recorded_s for p in stream.placed if not p.trial.is_fall),
        sum(not p.trial.is_fall for p in stream.placed),
    )


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    if n == 0:
        return math.nan, math.nan
    z = 1.959964
    share = hits / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return (centre - half) / scale, (centre + half) / scale


def _thinned(alarms: Sequence[float]) -> list[float]:
    kept: list[float] = []
    for alarm in alarms:
        if not kept or alarm - kept[-1] >= ONE_ALARM_S:
            kept.append(alarm)
    return kept


def owner(stream: Stream, alarm: float) -> Placed:
    """The trial that began last before the alarm (an alarm in stillness is put down to the trial before)."""
    return next((p for p in reversed(stream.placed) if p.at <= alarm), stream.placed[0])
