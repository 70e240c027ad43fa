"""How likely an impact was a fall: nine figures of the seconds around it and one fitted weight each, by wearing
position.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 50
BEFORE = 125
"""Samples before the impact that count (2.5 s)."""
AFTER = 125
"""Samples after the impact that must be known (2.5 s)."""
SHORTEST_BEFORE = 60


@dataclass(frozen=True, slots=True)
class FallFeatures:
    """The figures; logarithms are natural, of values in g. Angles count in right angles (90 degrees = 1)."""

    peak: float
    """log of the largest magnitude."""
    dip: float
    """Least magnitude in the second before, g: near 0 in free fall."""
    posture: float
    """Angle of gravity between 2.5..1 s before and 1..2.5 s after."""
    stillness: float
    """log of the spread 1..2.5 s after."""
    before: float
    """log of the spread 2.5..1 s before."""
    energy: float
    """log of the mean |magnitude - 1| within half a second of the impact."""
    tremble: float
    """log of the mean step between samples 1..2.5 s after."""
    turn: float
    """Angle of gravity between the last second before and 1..2.5 s after."""
    rest: float
    """|magnitude of the mean 1..2.5 s after - 1|: not 0 when the body still moves."""

    def as_array(self) -> NDArray[np.float64]:
        """The figures in the order of their weights."""
        return np.array([getattr(self, f.name) for f in fields(self)])


@dataclass(frozen=True, slots=True)
class FallModel:
    """A logistic model over FallFeatures; `lowest_peak_g` is the impact below which nothing is looked at."""

    lowest_peak_g: float
    weights: tuple[float, ...]
    bias: float
    threshold: float

    def probability(self, features: FallFeatures) -> float:
        """Between 0 and 1."""
        z = float(np.dot(self.weights, features.as_array())) + self.bias
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, z))))


# Fitted by Newton steps with an L2 penalty of 0.01 on staged falls and daily activities (SisFall at the
# waist: 24 people,
# WEDA-FALL at the wrist: 15 people). With each person held out in turn: waist 98.8 % of falls at 98.6 % of activities
# left alone, wrist 89.8 % at 93.1 %. docs/decisions/fall-detector.md says how this carries over to life.
WAIST = FallModel(2.0, (1.727, 0.057, 3.674, -0.308, 0.203, 1.027, -0.33, 2.936, 4.078), -7.511, 0.5)
WRIST = FallModel(2.8, (2.298, 0.231, 2.465, -0.115, -0.724, 1.794, -0.986, 1.829, -3.432), -10.15, 0.5)


def features(acceleration: NDArray[np.float64], impact: int) -> FallFeatures:
    """Figures of the impact at row `impact`; `acceleration` has shape (n, 3), in g at 50 Hz, with AFTER rows behind
    it.
    """
    a, i = acceleration, impact
    magnitude = np.linalg.norm(a, axis=1)
    before = a[max(0, i - BEFORE) : i - 50]
    last = a[max(0, i - 50) : i - 10]
    after = a[i + 50 : i + AFTER]
    return FallFeatures(
        peak=math.log(magnitude[i]),
        dip=float(magnitude[max(0, i - 50) : i].min()),
        posture=_angle(before.mean(0), after.mean(0)),
        stillness=math.log(float(np.linalg.norm(after.std(0))) + 0.01),
        before=math.log(float(np.linalg.norm(before.std(0))) + 0.01),
        energy=math.log(float(np.abs(magnitude[i - 25 : i + 25] - 1).mean()) + 0.01),
        tremble=math.log(float(np.abs(np.diff(after, axis=0)).mean()) + 0.002),
        turn=_angle(last.mean(0), after.mean(0)),
        rest=abs(float(np.linalg.norm(after.mean(0))) - 1),
    )


def _angle(u: NDArray[np.float64], v: NDArray[np.float64]) -> float:
    cosine = float(np.dot(u, v)) / (float(np.linalg.norm(u) * np.linalg.norm(v)) + 1e-9)
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine)))) / 90.0
