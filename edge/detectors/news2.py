"""NEWS2 (Royal College of Physicians, 2017): the early warning score and the range it lies in when inputs are
missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


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


_Steps = tuple[tuple[float, int], ...]
"""(highest value, score) in ascending order; the last one has no upper end."""

_INF = math.inf
_RESPIRATION: _Steps = ((8, 3), (11, 1), (20, 0), (24, 2), (_INF, 3))
_SPO2_SCALE_1: _Steps = ((91, 3), (93, 2), (95, 1), (_INF, 0))
_SPO2_SCALE_2_AIR: _Steps = ((83, 3), (85, 2), (87, 1), (_INF, 0))
_SPO2_SCALE_2_OXYGEN: _Steps = ((83, 3), (85, 2), (87, 1), (92, 0), (94, 1), (96, 2), (_INF, 3))
_SYSTOLIC: _Steps = ((90, 3), (100, 2), (110, 1), (219, 0), (_INF, 3))
_PULSE: _Steps = ((40, 3), (50, 1), (90, 0), (110, 1), (130, 2), (_INF, 3))
_TEMPERATURE_TENTHS: _Steps = ((350, 3), (360, 1), (380, 0), (390, 1), (_INF, 2))


def risk(total: int, has_three: bool) -> Risk:
    """The chart's risk band of a total; `has_three` is whether any single sign scores 3."""
    if total >= 7:
        return Risk.HIGH
    if total >= 5:
        return Risk.MEDIUM
    return Risk.LOW_MEDIUM if has_three else Risk.LOW


def score(observation: Observation) -> Score:
    """Score an observation; a missing sign counts with every score it could have, never as 0."""
    airs = (observation.oxygen,) if observation.oxygen is not None else (False, True)
    totals: list[tuple[int, int]] = []
    signs: dict[Sign, tuple[int, int]] = {}
    for oxygen in airs:
        ranges = _score_given_oxygen(observation, oxygen)
        totals.append((sum(low for low, _ in ranges.values()), sum(high for _, high in ranges.values())))
        for sign, (low, high) in ranges.items():
            before = signs.get(sign, (low, high))
            signs[sign] = (min(low, before[0]), max(high, before[1]))
    return Score(min(low for low, _ in totals), max(high for _, high in totals), signs, _missing(observation))


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


def _score_given_oxygen(observation: Observation, oxygen: bool) -> dict[Sign, tuple[int, int]]:
    spo2 = _SPO2_SCALE_1
    if observation.scale2:
        spo2 = _SPO2_SCALE_2_OXYGEN if oxygen else _SPO2_SCALE_2_AIR
    supply = 2 if oxygen else 0
    tenths = None if observation.temperature is None else observation.temperature * 10
    return {
        Sign.RESPIRATION: _range(observation.respiration, _RESPIRATION),
        Sign.SPO2: _range(observation.spo2, spo2),
        Sign.OXYGEN: (supply, supply),
        Sign.SYSTOLIC: _range(observation.systolic, _SYSTOLIC),
        Sign.PULSE: _range(observation.pulse, _PULSE),
        Sign.CONSCIOUSNESS: _consciousness(observation.consciousness),
        Sign.TEMPERATURE: _range(tenths, _TEMPERATURE_TENTHS),
    }


def _range(value: float | None, steps: _Steps) -> tuple[int, int]:
    if value is None:
        return min(score for _, score in steps), max(score for _, score in steps)
    rounded = math.floor(round(value, 6) + 0.5)
    found = next(score for highest, score in steps if rounded <= highest)
    return found, found


def _consciousness(value: str | None) -> tuple[int, int]:
    if value is None:
        return 0, 3
    if value not in ("A", "C", "V", "P", "U"):
        raise ValueError(f"consciousness is one of A C V P U, got {value!r}")
    return (0, 0) if value == "A" else (3, 3)
