"""A stove that is on with nobody there, and falls that a radar reports."""

from __future__ import annotations

import json
import random
from zoneinfo import ZoneInfo

import pytest

from edge.alarms import Alarms, Changed
from edge.alarms.ladder import Daytime, Ladders
from edge.clock import Instant
from edge.detectors.base import Detection
from edge.detectors.facade import Detectors
from edge.hazard_config import ClimateSection, StoveSection, hazard_detectors
from edge.readings import Device, DeviceRole, Reading
from protocols.metrics import Value
from protocols.wire import AlarmKind, AlarmState, Priority

_DEVICES = (
    Device("stove-1", DeviceRole.STOVE, "kitchen"),
    Device("pir-kitchen", DeviceRole.MOTION, "kitchen"),
    Device("pir-hall", DeviceRole.MOTION, "hall"),
    Device("radar-1", DeviceRole.PRESENCE, "bathroom"),
    Device("watch-1", DeviceRole.WEARABLE),
)
_START = 1_700_000_000.0
Event = tuple[int, str, str, Value]


def _hosted() -> Detectors:
    return Detectors(hazard_detectors(_DEVICES, ClimateSection(), StoveSection()))


def _run(events: list[Event], until_s: int, restart: bool = False) -> list[tuple[int, Detection]]:
    hosted, waiting, found = _hosted(), sorted(events, key=lambda e: e[0]), []
    for second in range(until_s):
        now = _START + second
        while waiting and waiting[0][0] <= second:
            _, device, metric, value = waiting.pop(0)
            found += [(second, d) for d in hosted.on_reading(Reading(device, metric, now, value), now)]
        found += [(second, d) for d in hosted.on_tick(now)]
        if restart and second % 97 == 0:
            state, hosted = json.loads(json.dumps(hosted.state())), _hosted()
            assert hosted.restore(state) == {}
    return found


def _power(watts: float, begin: int, end: int) -> list[Event]:
    return [(second, "stove-1", "power", watts) for second in range(begin, end, 60)]


@pytest.mark.parametrize("restart", [False, True])
def test_a_stove_alone(restart: bool) -> None:
    """On, the cook leaves: medium after 15 minutes, high after 45; movement elsewhere changes nothing, in the kitchen
    it ends it.
    """
    events: list[Event] = [
        *_power(1500.0, 0, 4000),
        (30, "pir-kitchen", "motion", True),
        (90, "pir-kitchen", "motion", False),
        (500, "pir-hall", "motion", True),
        (3500, "pir-kitchen", "motion", True),
    ]
    found = _run(events, 4000, restart)
    assert [(s, d.kind, d.reason, d.priority) for s, d in found] == [
        (990, AlarmKind.STOVE, "stove_unattended", Priority.MEDIUM),
        (2790, AlarmKind.STOVE, "stove_unattended_long", Priority.HIGH),
        (3500, AlarmKind.STOVE, "condition_ended", Priority.MEDIUM),
    ]


def test_a_stove_that_is_attended_or_off_is_nothing() -> None:
    """A cook who moves every few minutes, a stove switched off before, and a thermometer that only says warm."""
    cook: list[Event] = [(s, "pir-kitchen", "motion", True) for s in range(0, 4000, 400)]
    assert _run([*_power(1500.0, 0, 4000), *cook], 4000) == []
    assert _run([*_power(1500.0, 0, 600), *_power(0.0, 600, 4000)], 4000) == []
    assert _run([(s, "stove-1", "temperature", 38.0) for s in range(0, 4000, 60)], 4000) == []


def test_a_stove_by_temperature() -> None:
    """A thermometer over the hob: on from 50 degrees, and a stove that falls silent is not known to be on; nor is one
    whose thermometer has never been cool, as one that says Fahrenheit or kelvin never is.
    """
    hot: list[Event] = [(s, "stove-1", "temperature", 65.0) for s in range(60, 1200, 60)]
    for restart in (False, True):
        assert [(s, d.reason) for s, d in _run([(0, "stove-1", "temperature", 24.0), *hot], 4000, restart)] == [
            (960, "stove_unattended"),
            (2760, "stove_unattended_long"),
            (2941, "condition_ended"),
        ]
    assert _run(hot, 4000) == []
    assert _run([(s, "stove-1", "temperature", 297.0) for s in range(0, 4000, 60)], 4000) == []


def test_a_radar_reports_a_fall() -> None:
    """It must hold for three seconds; the resident is asked as after any fall; getting up for long ends it."""
    assert _run([(10, "radar-1", "fall_detected", True), (12, "radar-1", "fall_detected", False)], 60) == []
    events: list[Event] = [(10, "radar-1", "fall_detected", True), (40, "radar-1", "fall_detected", False)]
    found = _run(events, 100, restart=True)
    assert [(s, d.kind, d.reason, d.cleared) for s, d in found] == [
        (13, AlarmKind.FALL, "radar_reports_fall", False),
        (60, AlarmKind.FALL, "condition_ended", True),
    ]
    ladders = Ladders(Daytime(ZoneInfo("Asia/Shanghai")))
    alarms = Alarms({d.id: d.room for d in _DEVICES}, ladders, random.Random(1))
    effects = alarms.detect(found[0][1], Instant(_START, 100.0))
    assert [(e.alarm.state, e.alarm.room) for e in effects if isinstance(e, Changed)] == [
        (AlarmState.PENDING, "bathroom")
    ]


def test_a_watch_reports_a_fall_at_once() -> None:
    """A device that judges falls itself is believed, once."""
    found = _run([(s, "watch-1", "fall_detected", True) for s in range(10, 20)], 30)
    assert [(s, d.reason) for s, d in found] == [(10, "device_reports_fall")]


@pytest.mark.parametrize("step", [86_400.0, -86_400.0])
def test_a_step_of_the_clock_is_no_time_alone(step: float) -> None:
    """A day that nobody observed is not fifteen minutes; a fall of a second is not three."""
    hosted = _hosted()
    hosted.on_reading(Reading("stove-1", "power", _START, 1500.0), _START)
    hosted.on_reading(Reading("pir-kitchen", "motion", _START, True), _START)
    found = [d for i in range(60) for d in hosted.on_tick(_START + step + i)]
    assert found == []
    assert hosted.take_failures() == []
