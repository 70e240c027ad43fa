"""NEWS2 (Royal College of Physicians, 2017): the early warning score and the range it lies in when inputs are
missing.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import Any


class Sign(StrEnum):
    """The seven inputs of the score."""

    RESPIRATION = "respiration"
    SPO2 = "spo2"
    OXYGEN = "oxygen"
    SYSTOLIC = "systolic"
    PULSE = "pulse"
    CONSCIOUSNESS = "consciousness"
    TEMPERATURE = "temperature"


class Risk(StrEnum):
    """Clinical risk of the aggregate score."""

    LOW = "low"
    LOW_MEDIUM = "low-medium"
    MEDIUM = "medium"
    HIGH = "high"


ORDER = (Risk.LOW, Risk.LOW_MEDIUM, Risk.MEDIUM, Risk.HIGH)


@dataclass(frozen=True, slots=True)
class Observation:
    """The inputs; None is missing. Breaths and beats a minute, %, mmHg, °C; `consciousness` is one of A C V P U.

    `scale2` selects the saturation scale for residents with confirmed hypercapnic respiratory failure.
    """

    respiration: float | None = None
    spo2: float | None = None
    oxygen: bool | None = None
    systolic: float | None = None
    pulse: float | None = None
    consciousness: str | None = None
    temperature: float | None = None
    scale2: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """The range `low`..`high` the total lies in (equal when nothing is missing), with the range of each sign."""

    low: int
    high: int
    signs: dict[Sign, tuple[int, int]]
    missing: tuple[Sign, ...]

    @property
    def has_three(self) -> bool:
        """Whether a single sign certainly scores 3."""
        return any(low == 3 for low, _ in self.signs.values())

    @property
    def risk(self) -> Risk:
        """The risk that is certain whatever the missing inputs are."""
        return risk(self.low, self.has_three)


class _Chart:
    """One row of the chart: the score up to and including each edge, and above the last one."""

    __slots__ = ("_edges", "_scores", "_unknown")

    def __init__(self, edges: tuple[int, ...], scores: tuple[int, ...]) -> None:
        self._edges, self._scores = edges, [(score, score) for score in scores]
        self._unknown = (min(scores), max(scores))

    def range(self, value: float | None) -> tuple[int, int]:
        """Least and highest score of a value (rounded half up); of a missing one, all it could have."""
        if value is None:
            return self._unknown
        return self._scores[bisect_left(self._edges, math.floor(round(value, 6) + 0.5))]


_RESPIRATION = _Chart((8, 11, 20, 24), (3, 1, 0, 2, 3))
_SPO2_SCALE_1 = _Chart((91, 93, 95), (3, 2, 1, 0))
_SPO2_SCALE_2_AIR = _Chart((83, 85, 87), (3, 2, 1, 0))
_SPO2_SCALE_2_OXYGEN = _Chart((83, 85, 87, 92, 94, 96), (3, 2, 1, 0, 1, 2, 3))
_SYSTOLIC = _Chart((90, 100, 110, 219), (3, 2, 1, 0, 3))
_PULSE = _Chart((40, 50, 90, 110, 130), (3, 1, 0, 1, 2, 3))
_TEMPERATURE_TENTHS = _Chart((350, 360, 380, 390), (3, 1, 0, 1, 2))


def risk(total: int, has_three: bool) -> Risk:
    """The chart's risk band of a total; `has_three` is whether any single sign scores 3."""
    if total >= 7:
        return Risk.HIGH
    if total >= 5:
        return Risk.MEDIUM
    return Risk.LOW_MEDIUM if has_three else Risk.LOW


def score(observation: Observation) -> Score:
    """Score an observation; a missing sign counts with every score it could have, never as 0."""
    oxygen, saturation = observation.oxygen, observation.spo2
    tenths = None if observation.temperature is None else observation.temperature * 10
    signs = {
        Sign.RESPIRATION: _RESPIRATION.range(observation.respiration),
        Sign.SPO2: _SPO2_SCALE_1.range(saturation),
        Sign.OXYGEN: (0, 2) if oxygen is None else (2, 2) if oxygen else (0, 0),
        Sign.SYSTOLIC: _SYSTOLIC.range(observation.systolic),
        Sign.PULSE: _PULSE.range(observation.pulse),
        Sign.CONSCIOUSNESS: _consciousness(observation.consciousness),
        Sign.TEMPERATURE: _TEMPERATURE_TENTHS.range(tenths),
    }
    both = signs[Sign.SPO2][0] + signs[Sign.OXYGEN][0], signs[Sign.SPO2][1] + signs[Sign.OXYGEN][1]
    if observation.scale2:
        signs[Sign.SPO2], both = _on_scale_2(saturation, oxygen)
    rest = [span for sign, span in signs.items() if sign not in (Sign.SPO2, Sign.OXYGEN)]
    low, high = both[0] + sum(a for a, _ in rest), both[1] + sum(b for _, b in rest)
    return Score(low, high, signs, _missing(observation))


def holds(observation: Observation, level: Risk, wrong: Mapping[Sign, float]) -> float:
    """Probability (0 to 1) that the risk is at least `level` if each sign of `wrong` is false with the probability
    given there, independently of the others. A false one is worth what a missing one is: it counts at its best.
    """
    signs, sure = sorted(wrong), 0.0
    for false in product((False, True), repeat=len(signs)):
        chance = math.prod(wrong[s] if is_false else 1 - wrong[s] for s, is_false in zip(signs, false, strict=True))
        left_out: dict[str, Any] = {str(s): None for s, is_false in zip(signs, false, strict=True) if is_false}
        if ORDER.index(score(replace(observation, **left_out)).risk) >= ORDER.index(level):
            sure += chance
    return min(sure, 1.0)


def _on_scale_2(saturation: float | None, oxygen: bool | None) -> tuple[tuple[int, int], tuple[int, int]]:
    """Ranges of the saturation alone and of both together: here oxygen decides what a saturation is worth, so that
    both cannot be at their best at once.
    """
    air, given = _SPO2_SCALE_2_AIR.range(saturation), _SPO2_SCALE_2_OXYGEN.range(saturation)
    if oxygen is not None:
        alone = given if oxygen else air
        return alone, (alone[0] + 2 * oxygen, alone[1] + 2 * oxygen)
    both = min(air[0], given[0] + 2), max(air[1], given[1] + 2)
    return (min(air[0], given[0]), max(air[1], given[1])), both


def _missing(observation: Observation) -> tuple[Sign, ...]:
    values = {
        Sign.RESPIRATION: observation.respiration,
        Sign.SPO2: observation.spo2,
        Sign.OXYGEN: observation.oxygen,
        Sign.SYSTOLIC: observation.systolic,
        Sign.PULSE: observation.pulse,
        Sign.CONSCIOUSNESS: observation.consciousness,
        Sign.TEMPERATURE: observation.temperature,
    }
    return tuple(sign for sign, value in values.items() if value is None)


def _consciousness(value: str | None) -> tuple[int, int]:
    if value is None:
        return 0, 3
    if value not in ("A", "C", "V", "P", "U"):
        raise ValueError(f"consciousness is one of A C V P U, got {value!r}")
    return (0, 0) if value == "A" else (3, 3)
