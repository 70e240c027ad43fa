"""What is usual depends on the weekday for a home and on the time of day for a body."""

from __future__ import annotations

import random
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from edge.detectors.baseline import DAYS_KEPT, Baseline
from edge.detectors.rhythm import Rhythm

_ZONE = ZoneInfo("Asia/Shanghai")
_MONDAY = datetime(2026, 3, 2, tzinfo=_ZONE).timestamp()
_HOUR, _DAY = 3600.0, 86_400.0


def test_weekends_have_a_line_of_their_own() -> None:
    """Who is quiet until noon on Saturdays and up at seven otherwise: nine hours are long on a Wednesday only."""
    rng, rhythm = random.Random(1), Rhythm(_ZONE, ("bed", "other"), budget_per_30_days=1.0, fixed_h=12.0)
    for day in range(42):
        up, begin = 12.0 if day % 7 >= 5 else 7.0, _MONDAY + day * _DAY
        rhythm.learn(begin - 1.5 * _HOUR, begin + (up + rng.gauss(0, 0.2)) * _HOUR, "bed")
        for hour in range(13, 22):
            rhythm.learn(begin + hour * _HOUR, begin + (hour + 0.7 + 0.2 * rng.random()) * _HOUR, "other")

    def excess(day: int) -> float:
        begin = _MONDAY + day * _DAY
        verdict = rhythm.judge(begin - 1.5 * _HOUR, "bed", begin + 11.0 * _HOUR)
        return verdict.excess / verdict.limit

    assert excess(42 + 2) > 1.15 > 0.95 > excess(42 + 5)


def test_a_baseline_is_by_time_of_day_and_robust() -> None:
    """A pulse of 54 by night and 74 by day: each quarter knows its own, and a week of nonsense moves neither."""
    rng, baseline = random.Random(2), Baseline(2.5)
    for day in range(DAYS_KEPT):
        for hour in range(24):
            pulse = rng.gauss(54, 2) if hour < 6 else rng.gauss(74, 4)
            baseline.add(190.0 if 10 <= day < 17 else pulse, day, hour)
    night, morning = baseline.usual(0), baseline.usual(1)
    assert night is not None
    assert morning is not None
    assert night[0] == pytest.approx(54, abs=1.5)
    assert morning[0] == pytest.approx(74, abs=2)
    assert night[1] < 6
