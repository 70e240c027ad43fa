"""Trends of vital signs over days: each rule speaks once, at its limit, and never of an artefact."""

from __future__ import annotations

import json
import random
from zoneinfo import ZoneInfo

import pytest

from edge.detectors.base import Detection
from edge.detectors.trend_limits import LIMITS
from edge.detectors.trends import TrendDetector
from edge.readings import Reading
from protocols.metrics import Value
from protocols.wire import Priority

ZONE = ZoneInfo("Asia/Shanghai")
START = 1_772_380_800.0  # midnight in Shanghai
HOUR, DAY = 3600.0, 86_400.0


def given(
    detector: TrendDetector, metric: str, values: list[Value], every: float, begin: float = START
) -> list[Detection]:
    """Values at even times."""
    times = [begin + n * every for n in range(len(values))]
    return [d for t, v in zip(times, values, strict=True) for d in detector.on_reading(Reading("x", metric, t, v), t)]


@pytest.mark.parametrize(
    ("metric", "values", "every", "reason"),
    [
        ("weight", [70.0, 70.4, 71.2, 71.7], DAY, "fluid_gain"),
        ("weight", [70.0, 70.4, 70.9, 71.4, 71.9, 72.4], DAY, None),
        ("weight", [70.0, 70.1, 92.0, 70.2], DAY, None),
        ("glucose", [5.5, 3.6, 3.5], 600, "glucose_low"),
        ("glucose", [5.5, 2.7, 2.8], 600, "glucose_very_low"),
        ("glucose", [5.5, 2.7, 5.6, 5.5], 600, None),
        ("glucose", [9.0, 15.0, 15.2], 600, "glucose_high"),
        ("systolic", [150.0, 186.0, 190.0], 600, "pressure_very_high"),
        ("systolic", [142.0] * 8, DAY / 2, "pressure_high"),
        ("systolic", [94.0] * 8, DAY / 2, "pressure_low"),
        ("systolic", [125.0] * 8, DAY / 2, None),
        ("diastolic", [88.0] * 8, DAY / 2, "pressure_high"),
        ("diastolic", [80.0, 112.0, 113.0], 600, "pressure_very_high"),
        ("diastolic", [78.0] * 8, DAY / 2, None),
        ("body_temperature", [36.8, 38.2, 38.3], HOUR, "fever"),
        ("body_temperature", [36.8, 38.2, 36.9], HOUR, None),
        ("body_temperature", [36.0, 34.5, 34.6], HOUR, "hypothermia"),
    ],
)
def test_a_rule_speaks_once_at_its_limit(metric: str, values: list[Value], every: float, reason: str | None) -> None:
    """A single odd value says nothing; what stays beyond the limit is one notice."""
    reasons = {d.reason for d in given(TrendDetector(ZONE), metric, [*values, *values[-1:]], every)}
    assert reason is None or reason in reasons
    assert reasons <= {reason, "glucose_low"}


def test_a_rule_speaks_again_only_after_it_was_well() -> None:
    """Around the limit there is one notice, after a normal value another."""
    near = [3.7, 3.7, 4.0, 4.0, 3.7, 3.7]
    detector = TrendDetector(ZONE)
    assert len(given(detector, "glucose", [*near], 600)) == 1
    assert len(given(detector, "glucose", [5.0, 5.1, 3.7, 3.7], 600, START + DAY)) == 1


def pulse(days: int, begin: float, rng: random.Random, rise: float = 0.0) -> list[Reading]:
    """A resting pulse every half hour with its daily rhythm."""
    return [
        Reading("w", "heart_rate", begin + n * 1800, 64 + 8 * (12 < n % 48 < 44) + rise + rng.gauss(0, 2))
        for n in range(days * 48)
    ]


def test_a_pulse_that_rises_slowly_is_told_within_days() -> None:
    """Six beats more than usual, every day: a low-priority notice within a week; sixty usual days have none."""
    rng, detector = random.Random(3), TrendDetector(ZONE)
    quiet = [d for r in pulse(60, START, rng) for d in detector.on_reading(r, r.at)]
    assert quiet == []
    ill = [d for r in pulse(9, START + 60 * DAY, rng, 6.0) for d in detector.on_reading(r, r.at)]
    assert ill[0].reason == "not_well_lately"
    assert ill[0].priority is Priority.LOW
    assert ill[0].evidence[0].numbers["drift_heart_rate"] == 1
    assert ill[0].at - START - 60 * DAY < 7 * DAY


def test_a_restart_changes_nothing() -> None:
    """The state, through JSON, in the middle of an illness gives the same notices; it is small."""
    rng = random.Random(3)
    readings = pulse(60, START, rng) + pulse(9, START + 60 * DAY, rng, 6.0)
    plain, restarted = TrendDetector(ZONE), TrendDetector(ZONE)
    found, again = [], []
    for n, reading in enumerate(readings):
        found += plain.on_reading(reading, reading.at)
        if n % 701 == 0:
            text = json.dumps(restarted.state(), allow_nan=False)
            assert len(text) < 40_000
            restarted = TrendDetector(ZONE)
            restarted.restore(json.loads(text))
        again += restarted.on_reading(reading, reading.at)
    assert found == again != []


@pytest.mark.parametrize("step", [-400 * DAY, -DAY, 3 * DAY, 400 * DAY])
def test_a_clock_step_is_no_trend(step: float) -> None:
    """The same weight and pulse on another date are no news, nor are the days after."""
    rng, detector = random.Random(3), TrendDetector(ZONE)
    for reading in pulse(30, START, rng):
        detector.on_reading(reading, reading.at)
    given(detector, "weight", [70.0] * 30, DAY)
    begin = START + 30 * DAY + step
    found = given(detector, "weight", [70.1] * 3, DAY, begin)
    assert found + [d for r in pulse(3, begin, rng) for d in detector.on_reading(r, r.at)] == []


@pytest.mark.parametrize("broken", [{}, {"v": 2}, {"v": 1}, {"v": 1, "artefacts": 3}])
def test_a_state_that_is_none_changes_nothing(broken: dict[str, object]) -> None:
    """ValueError, and the detector is as before."""
    detector = TrendDetector(ZONE)
    given(detector, "weight", [70.0, 70.2], DAY)
    before = detector.state()
    with pytest.raises(ValueError, match="trends"):
        detector.restore(broken)
    assert detector.state() == before


def test_every_limit_says_where_it_comes_from() -> None:
    """A figure from nowhere is none; what ends a rule lies on the well side of what begins it."""
    for name, limit in LIMITS.items():
        assert len(limit.source) > 20, name
        assert limit.well_source, name
        assert (limit.well > limit.limit) == (name.endswith("_low") or name == "hypothermia"), name
