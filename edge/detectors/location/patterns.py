"""Ways of walking after Martino-Saltzman: direct, pacing, lapping, random; from positions alone.

Source: Martino-Saltzman, Blasch, Morris, McNeal, "Travel behavior of nursing home residents perceived as wanderers and
nonwanderers", The Gerontologist 31 (1991) 666-672, not re-read: that they tell direct travel, random, pacing and
lapping apart is as others quote them (Kwak et al., Dement Neurocogn Disord 14 (2015) 99). Here pacing is back and
forth between two points, lapping repeats a circuit, random has many changes of direction and no goal. The measures
below are this project's, chosen on simulated walks (docs/results/track.json).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from edge.detectors.location.geometry import Point, to_segment_m, turn

LEAST_WAY_M = 200.0
LEAST_S = 300.0
WALKING_M_S = (0.25, 2.2)
"""Slower is drift of a receiver at rest; faster than this on average is no elder on foot (1.24 m/s is usual at 60 and
more: Kasović et al., Clin Interv Aging 16 (2021) 225; 1.75 the fastest of women in their seventies: Bohannon 1997)."""
_REVERSAL = math.radians(110)
_BEND = math.radians(40)
_REVERSALS = 4
_LAPS = 1.75
_BENDS = 7
_NARROW = 0.4
_STRAIGHT = 0.35
"""Net way by way walked; a walk to somewhere and back is nearer 0 but has one reversal and few bends."""


class Pattern(StrEnum):
    """How somebody walks."""

    DIRECT = "direct"
    PACING = "pacing"
    LAPPING = "lapping"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a stretch of way looks like; `laps` is full turns, signed."""

    pattern: Pattern
    way_m: float
    seconds: float
    straightness: float
    reversals: int
    bends: int
    laps: float


def shape(times: Sequence[float], points: Sequence[Point], tolerance_m: float) -> Shape:
    """The shape of a way of at least two points in metres, in the order of `times` (seconds).

    `tolerance_m` is how far a position may be wrong: bends smaller than that are not seen.
    """
    corners = simplified(points, tolerance_m)
    legs = [math.dist(a, b) for a, b in pairwise(corners)]
    turns = [turn(a, b, c) for a, b, c in zip(corners, corners[1:], corners[2:], strict=False)]
    way, seconds = sum(legs), times[-1] - times[0]
    straightness = math.dist(corners[0], corners[-1]) / way if way > 0 else 1.0
    reversals = sum(abs(t) >= _REVERSAL for t in turns)
    bends = sum(abs(t) >= _BEND for t in turns)
    laps = sum(t for t in turns if abs(t) < math.radians(150)) / (2 * math.pi)
    whole = sum(map(abs, turns)) / (2 * math.pi)
    pattern = Pattern.DIRECT
    if way >= LEAST_WAY_M and seconds >= LEAST_S and WALKING_M_S[0] <= way / seconds <= WALKING_M_S[1]:
        pattern = _pattern(straightness, reversals, bends, laps, whole, narrowness(corners))
    return Shape(pattern, way, seconds, straightness, reversals, bends, laps)


def simplified(points: Sequence[Point], tolerance_m: float) -> list[Point]:
    """Douglas-Peucker: the fewest of the points from which none of the others is further than the tolerance."""
    kept = {0, len(points) - 1}
    waiting = [(0, len(points) - 1)]
    while waiting:
        first, last = waiting.pop()
        worst, at = tolerance_m, -1
        for i in range(first + 1, last):
            away = to_segment_m(points[i], points[first], points[last])
            if away > worst:
                worst, at = away, i
        if at >= 0:
            kept.add(at)
            waiting += [(first, at), (at, last)]
    return [points[i] for i in sorted(kept)]


def narrowness(points: Sequence[Point]) -> float:
    """Spread across the main direction by spread along it: 0 on a line, 1 for a crowd without direction."""
    n = len(points)
    east, north = sum(p[0] for p in points) / n, sum(p[1] for p in points) / n
    xx = sum((p[0] - east) ** 2 for p in points)
    yy = sum((p[1] - north) ** 2 for p in points)
    xy = sum((p[0] - east) * (p[1] - north) for p in points)
    root = math.hypot(xx - yy, 2 * xy)
    long, short = xx + yy + root, xx + yy - root
    return math.sqrt(max(short, 0.0) / long) if long > 0 else 1.0


def _pattern(straightness: float, reversals: int, bends: int, laps: float, whole: float, narrow: float) -> Pattern:
    if abs(laps) >= _LAPS and abs(laps) >= 0.75 * whole:
        return Pattern.LAPPING
    if straightness > _STRAIGHT:
        return Pattern.DIRECT
    if reversals >= _REVERSALS and narrow <= _NARROW:
        return Pattern.PACING
    return Pattern.RANDOM if bends >= _BENDS else Pattern.DIRECT
