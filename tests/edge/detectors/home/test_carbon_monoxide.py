"""Carbon monoxide in parts per million: the times of EN 50291, good air again, devices that judge by themselves."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.detectors.base import Detection
from edge.detectors.home.carbon_monoxide import CarbonMonoxideDetector
from edge.readings import Device, DeviceRole, Reading
from protocols.metrics import Value
from protocols.wire import AlarmKind, Priority

_HOME = (Device("heater", DeviceRole.CLIMATE, "bathroom"), Device("hall", DeviceRole.CLIMATE, "hall"))
_START = 1_700_000_000.0


def _run(
    ppm: Callable[[float], Value], minutes: float, every_s: float = 30.0, last_s: float = math.inf, **more: Value
) -> list[tuple[float, Detection]]:
    """A sensor that speaks every so often until `last_s`; `more` is what else it says. (minute, detection)."""
    detector, found = CarbonMonoxideDetector(_HOME), []
    for second in range(0, int(minutes * 60), 5):
        now = _START + second
        if second % every_s == 0 and second <= last_s:
            said = [Reading("heater", metric, now, value) for metric, value in more.items()]
            for reading in [*said, Reading("heater", "co_ppm", now, ppm(second))]:
                found += [(second / 60, d) for d in detector.on_reading(reading, now)]
        found += [(second / 60, d) for d in detector.on_tick(now)]
        if second % 600 == 300:
            state, detector = json.loads(json.dumps(detector.state(), allow_nan=False)), CarbonMonoxideDetector(_HOME)
            detector.restore(state)
    return found


@pytest.mark.parametrize(
    ("ppm", "after", "before"), [(50.0, 60.0, 90.0), (100.0, 10.0, 40.0), (300.0, 0.0, 3.0), (2_000.0, 0.0, 3.0)]
)
def test_the_times_of_the_standard(ppm: float, after: float, before: float) -> None:
    """Within the minutes in which a domestic alarm must sound, once, high; also where the sensor speaks rarely."""
    for every_s in (30.0, 300.0):
        found = _run(lambda _: ppm, 100, every_s)
        assert [(d.kind, d.priority, d.reason, d.confidence) for _, d in found] == [
            (AlarmKind.CO, Priority.HIGH, "carbon_monoxide_high", 1.0)
        ]
        assert after <= found[0][0] <= before
        assert found[0][1].evidence[0].numbers["co_ppm"] == ppm


@pytest.mark.parametrize("ppm", [0.0, 12.0, 30.0, 49.0])
def test_what_a_domestic_alarm_keeps_silent_about(ppm: float) -> None:
    """A whole night of it."""
    assert _run(lambda _: ppm, 480, 60.0) == []


def test_a_meal_is_no_poisoning() -> None:
    """A gas flame that makes 60 ppm for forty minutes, a cigarette of 120 for five, one odd value of 900."""
    assert _run(lambda s: 60.0 if 600 < s < 3_000 else 3.0, 120) == []
    assert _run(lambda s: 120.0 if 600 < s < 900 else 3.0, 60) == []
    assert _run(lambda s: 900.0 if s == 600 else 3.0, 60) == []


def test_it_ends_when_the_air_is_good() -> None:
    """Ten minutes below 30 ppm; around the limit there is one alarm."""
    found = _run(lambda s: 110.0 if s < 1_800 else 4.0, 60)
    assert [d.cleared for _, d in found] == [False, True]
    assert found[1][0] == pytest.approx(40)
    assert len(_run(lambda s: 105.0 if s % 60 else 95.0, 120)) == 1


def test_a_sensor_that_falls_silent_proves_nothing_more() -> None:
    """After half an hour without a word a level of an hour has not held."""
    assert _run(lambda _: 60.0, 120, last_s=1_200) == []


@pytest.mark.parametrize("every_min", [29, 31, 35, 50, 60])
def test_a_sensor_that_speaks_once_in_half_an_hour(every_min: int) -> None:
    """Two values that agree say what was in between: 60 ppm is told within the 90 minutes of the standard. A
    value three hours later says nothing of the time between.
    """
    found = _run(lambda _: 60.0, 200, 60.0 * every_min)
    assert [d.cleared for _, d in found] == [False]
    assert 60 <= found[0][0] <= 90
    assert _run(lambda _: 60.0, 200, 180 * 60.0) == []
    ends = _run(lambda s: 60.0 if s < 7_200 else 3.0, 400, 60.0 * every_min)
    assert [d.cleared for _, d in ends] == [False, True]


@pytest.mark.parametrize("flag", [True, False])
def test_a_device_that_judges_by_itself_is_left_to_it(flag: bool) -> None:
    """Its number neither raises an alarm nor ends that of its flag."""
    assert _run(lambda s: 400.0 if s < 1_200 else 2.0, 60, co=flag) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -5.0, 65_535.0, True, "400"])
def test_what_is_no_value_raises_nothing(value: Value) -> None:
    """Not finite, below nothing, a code of a failed sensor, a flag, a text."""
    assert _run(lambda _: value, 100) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from([5.0, 60.0, 280.0, 4_000.0, -90_000.0, 90_000.0]),
            st.sampled_from(["heater", "hall", "nobody"]),
            st.floats(0, 1_000) | st.just(math.nan),
        ),
        max_size=60,
    )
)
def test_it_is_told_and_ended_in_turn(said: list[tuple[float, str, float]]) -> None:
    """Whatever is said when: for each sensor an alarm, then its end; the state is one."""
    detector, now, told = CarbonMonoxideDetector(_HOME), _START, dict[str, list[bool]]()
    for passed, device, value in said:
        now += passed
        for found in (*detector.on_reading(Reading(device, "co_ppm", now, value), now), *detector.on_tick(now)):
            told.setdefault(found.device, []).append(found.cleared)
    assert all(of == [n % 2 == 1 for n in range(len(of))] for of in told.values())
    again = CarbonMonoxideDetector(_HOME)
    again.restore(json.loads(json.dumps(detector.state(), allow_nan=False)))
    assert again.state() == detector.state()


@pytest.mark.parametrize("broken", [{}, {"v": 2}, {"v": 1}, {"v": 1, "seen": None, "judge_themselves": [], "air": 3}])
def test_a_state_that_is_none_changes_nothing(broken: dict[str, object]) -> None:
    """ValueError, and what was known stays."""
    detector = CarbonMonoxideDetector(_HOME)
    detector.on_reading(Reading("heater", "co_ppm", _START, 60.0), _START)
    known = detector.state()
    with pytest.raises(ValueError, match="carbon monoxide"):
        detector.restore(broken)
    assert detector.state() == known


def test_a_sensor_that_speaks_often_delays_no_other() -> None:
    """One in the hall speaks every second; the heater's has said 900 ppm once and is told within three minutes."""
    detector, found = CarbonMonoxideDetector(_HOME), list[Detection]()
    detector.on_reading(Reading("heater", "co_ppm", _START, 900.0), _START)
    for second in range(1, 200):
        now = _START + second
        found += detector.on_reading(Reading("hall", "co_ppm", now, 2.0), now)
        found += detector.on_tick(now)
    assert [d.device for d in found] == ["heater"]
    assert 180 <= found[0].at - _START <= 185
