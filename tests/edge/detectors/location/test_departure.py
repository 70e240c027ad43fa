"""The outside door: who leaves at night, and a door that stands open."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

import pytest

from edge.detectors.base import Detection
from edge.detectors.location.departure import DepartureDetector
from edge.detectors.location.hours import Hours
from edge.readings import Device, DeviceRole, Reading
from protocols.wire import AlarmKind
from tests.edge.detectors.location.walks import NOON

_HOURS = Hours(ZoneInfo("Asia/Shanghai"))
_DEVICES = (
    Device("door-1", DeviceRole.CONTACT, "entrance"),
    Device("pir-hall", DeviceRole.MOTION, "hall"),
    Device("bed-1", DeviceRole.BED, "bedroom"),
)
_NIGHT = NOON + 15 * 3600
Event = tuple[float, str, str, bool]
_OUT: list[Event] = [
    (0, "pir-hall", "motion", True),
    (5, "door-1", "contact_open", True),
    (8, "pir-hall", "motion", True),
    (12, "door-1", "contact_open", False),
]


def _run(events: list[Event], start: float, until_s: int, restart: bool = False) -> list[tuple[int, Detection]]:
    detector, found, waiting = DepartureDetector(_DEVICES, _HOURS), [], sorted(events)
    for second in range(until_s):
        now = start + second
        while waiting and waiting[0][0] <= second:
            _, device, metric, value = waiting.pop(0)
            found += [(second, d) for d in detector.on_reading(Reading(device, metric, now, value), now)]
        if restart and second % 100 == 50:
            state, detector = json.loads(json.dumps(detector.state())), DepartureDetector(_DEVICES, _HOURS)
            detector.restore(state)
        found += [(second, d) for d in detector.on_tick(now)]
    return found


@pytest.mark.parametrize("restart", [False, True])
def test_leaving_at_night(restart: bool) -> None:
    """Ten minutes after the door nobody is back: an alarm, which ends when somebody is heard."""
    found = _run([*_OUT, (1200, "pir-hall", "motion", True)], _NIGHT, 1500, restart)
    assert [(s, d.kind, d.reason, d.cleared) for s, d in found] == [
        (605, AlarmKind.WANDERING, "left_at_night", False),
        (1200, AlarmKind.WANDERING, "condition_ended", True),
    ]


def test_back_in_time_or_by_day_is_nothing() -> None:
    """The rubbish at night, and a walk by day through a door that was closed."""
    assert _run([*_OUT, (400, "bed-1", "bed_occupied", True)], _NIGHT, 2000) == []
    assert _run(_OUT, NOON, 4000) == []


def test_a_door_that_stands_open_by_day() -> None:
    """A quarter of an hour open with nobody heard inside."""
    found = _run(_OUT[:3], NOON, 1200)
    assert [(s, d.reason) for s, d in found] == [(905, "door_left_open")]


def test_a_deaf_home_says_nothing() -> None:
    """Without any sensor heard inside for a day nobody can say that the home is empty."""
    assert _run([(5, "door-1", "contact_open", True)], _NIGHT, 2000) == []


def test_a_step_of_the_clock_is_no_absence() -> None:
    """A day that nobody observed does not count as ten minutes."""
    detector = DepartureDetector(_DEVICES, _HOURS)
    for second, device, metric, value in _OUT:
        detector.on_reading(Reading(device, metric, _NIGHT + second, value), _NIGHT + second)
    assert detector.on_tick(_NIGHT + 86_400) == []
    assert detector.on_tick(_NIGHT + 3) == []
    assert detector.counts["unobserved"] == 2


@pytest.mark.parametrize("state", [{}, {"v": 2}, {"v": 1}, {"v": 1, "open": 3, "opened": "x"}])
def test_no_state(state: dict[str, object]) -> None:
    """What is no state raises and changes nothing."""
    detector = DepartureDetector(_DEVICES, _HOURS)
    before = detector.state()
    with pytest.raises(ValueError, match="departure"):
        detector.restore(state)
    assert detector.state() == before
