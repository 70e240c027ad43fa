"""What is usual: worked cases of the two lines learned from past silences."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge.detectors.past_silences import Span, begin_of, bin_of, lay_out

ZONE = ZoneInfo("Asia/Shanghai")
FIRST = datetime(2026, 3, 2, tzinfo=ZONE)
NIGHT, SEAT = 0, 1
ALL = np.array([True, True])


def at(day: int, hour: float) -> datetime:
    """A local time."""
    return FIRST + timedelta(days=day, hours=hour)


def usual(spans: list[Span], today: int, context: int, now: datetime, begin: datetime) -> float:
    """Hours that are usual for a silence of this context, begun then, at `now`."""
    past = lay_out(spans, 2, at(today, 0).toordinal(), 42)
    line = past.line(np.arange(len(past.days)), 12.0, ALL)
    place = (np.array([context]), np.array([bin_of(now)]), np.array([begin_of(begin)]))
    return float(line.usual_h(*place)[0])


def nights(days: int) -> list[Span]:
    """From eleven to seven."""
    return [(at(n, 23), at(n + 1, 7), NIGHT) for n in range(days)]


def test_the_lower_of_clock_and_length_is_usual() -> None:
    """After nights from eleven to seven: who goes to bed at eleven has eight hours at half past six by the clock
    (an habit may be three quarters of an hour late or early), and no more than the eight hours that nights last.
    """
    spans = nights(8)
    assert usual(spans, 8, NIGHT, at(8, 6.5), at(7, 23)) == pytest.approx(8.0, abs=0.3)
    assert usual(spans, 8, NIGHT, at(8, 5.0), at(7, 23)) == pytest.approx(7.0, abs=0.01)
    assert usual(spans, 8, NIGHT, at(8, 12.0), at(7, 23)) == 0.0


def test_a_place_without_days_of_its_own_takes_the_longest_of_all() -> None:
    """Nobody ever sat down at eleven; then the nights speak. With eight evenings on the seat that ended after an hour
    they hardly do: (8 days * 1 h + 2 days * 8 h) / 10 of the length.
    """
    spans = nights(8)
    assert usual(spans, 8, SEAT, at(8, 6.5), at(7, 23)) == usual(spans, 8, NIGHT, at(8, 6.5), at(7, 23))
    sat = [(at(n, 23), at(n + 1, 0), SEAT) for n in range(1, 8)]
    days = 7
    clock = usual([*spans, *sat], 8, SEAT, at(8, 4), at(7, 23))
    assert clock == pytest.approx(2 * 6.0 / (days - 1 + 2), rel=0.2)


def test_time_of_which_nothing_is_known_says_nothing() -> None:
    """A day away is left out, and a silence of which nothing is known makes nothing usual."""
    spans: list[Span] = [*nights(6), (at(6, 23), at(9, 1), None), (at(9, 1), at(9, 7), NIGHT)]
    past = lay_out(spans, 2, at(10, 0).toordinal(), 42)
    assert at(8, 0).toordinal() not in past.days
    assert at(5, 0).toordinal() in past.days
    assert usual(spans, 10, NIGHT, at(8, 12), at(8, 9)) == 0.0


def test_no_silence_at_all_is_no_day() -> None:
    """Nothing known, nothing usual but the fixed limit."""
    past = lay_out([], 2, at(10, 0).toordinal(), 42)
    assert past.days == []
    line = past.line(np.arange(0), 12.0, ALL)
    assert float(line.usual_h(np.array([0]), np.array([4]), np.array([2]))[0]) == 12.0
