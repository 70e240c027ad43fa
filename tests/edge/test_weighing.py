"""Fusion: one alarm for one moment, its priority by confidence and profile, and sensors that cry often."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from edge.alarms import Alarm, Alarms, Changed
from edge.alarms.ladder import Daytime, Ladders
from edge.alarms.weighing import Risk
from edge.clock import Instant
from edge.detectors.base import Detection
from edge.readings import Device, DeviceRole
from edge.supervision.host import Host
from edge.supervision.supervisor import CRIES, CRIES_WITHIN_S, FIRST_LOOK_S, Supervisor
from protocols.faults import Fault
from protocols.wire import AlarmKind, AlarmState, Evidence, Priority

_T = 1_795_000_000.0


def _alarms(*risks: Risk) -> Alarms:
    return Alarms({}, Ladders(Daytime(ZoneInfo("Asia/Shanghai"))), random.Random(1), risks=risks)


def _seen(kind: AlarmKind, device: str, confidence: float, priority: Priority = Priority.MEDIUM) -> Detection:
    evidence = Evidence(detector="some", device=device, at=_T, reason="seen")
    return Detection(kind, priority, _T, device, "seen", confidence, (evidence,))


def _now(seconds: float) -> Instant:
    return Instant(_T + seconds, 1000.0 + seconds)


@pytest.mark.parametrize(
    ("kind", "confidence", "risks", "priority"),
    [
        (AlarmKind.WANDERING, 0.7, (), Priority.MEDIUM),
        (AlarmKind.WANDERING, 0.3, (), Priority.LOW),
        (AlarmKind.WANDERING, 0.7, (Risk.DEMENTIA,), Priority.HIGH),
        (AlarmKind.WANDERING, 0.3, (Risk.DEMENTIA,), Priority.MEDIUM),
        (AlarmKind.COLD, 0.9, (Risk.FRAIL, Risk.HEART_OR_LUNG), Priority.HIGH),
        (AlarmKind.SMOKE, 0.1, (), Priority.MEDIUM),
    ],
)
def test_confidence_and_profile_set_the_priority(
    kind: AlarmKind, confidence: float, risks: tuple[Risk, ...], priority: Priority
) -> None:
    """A doubt lowers by a step, a risk raises by one; dangers of the home are never lowered."""
    alarms = _alarms(*risks)
    alarms.detect(_seen(kind, "a", confidence), _now(0))
    assert [a.priority for a in alarms.open] == [priority]


def test_a_doubtful_fall_stays_high() -> None:
    """Whoever lies on the floor does not get less help because the model was unsure."""
    alarms = _alarms()
    alarms.detect(_seen(AlarmKind.FALL, "a", 0.1, Priority.HIGH), _now(0))
    assert alarms.open[0].priority is Priority.HIGH


def test_two_doubts_make_one_sure_alarm() -> None:
    """A second device about the same moment joins with its evidence; together they are sure, so it is raised."""
    alarms = _alarms()
    alarms.detect(_seen(AlarmKind.WANDERING, "a", 0.4), _now(0))
    effects = alarms.detect(_seen(AlarmKind.WANDERING, "b", 0.4), _now(2))
    (alarm,) = alarms.open
    assert (alarm.priority, alarm.state) == (Priority.MEDIUM, AlarmState.RAISED)
    assert alarm.confidence == pytest.approx(0.64)
    assert {e.device for e in alarm.evidence} == {"a", "b"}
    assert any(isinstance(e, Changed) for e in effects)


def test_the_same_device_again_makes_nothing_surer() -> None:
    """A repeated doubt stays one."""
    alarms = _alarms()
    for second in range(5):
        alarms.detect(_seen(AlarmKind.WANDERING, "a", 0.4), _now(second))
    assert [(a.priority, a.confidence) for a in alarms.open] == [(Priority.LOW, 0.4)]


def test_wandering_joins_an_exit() -> None:
    """Who has left the safe area and walks in circles is one alarm."""
    alarms = _alarms()
    alarms.detect(_seen(AlarmKind.GEOFENCE, "a", 0.9), _now(0))
    alarms.detect(_seen(AlarmKind.WANDERING, "b", 0.9), _now(60))
    assert [(a.kind, len(a.evidence)) for a in alarms.open] == [(AlarmKind.GEOFENCE, 2)]


def _supervisor() -> Supervisor:
    devices = (Device("radar-1", DeviceRole.PRESENCE), Device("watch-1", DeviceRole.WEARABLE))
    host = Host(disk_free=0.5, memory_free=0.5, temperature=40.0)
    return Supervisor(devices, list, lambda: host, lambda: True, random.Random(1), _now(0))


def _in_vain(device: str, alarm_id: str) -> Alarm:
    state, kind = AlarmState.CANCELLED_BY_RESIDENT, AlarmKind.FALL
    return Alarm(alarm_id, kind, Priority.HIGH, state, _T, _T, "resident_cancelled", device)


def test_a_sensor_that_cries_often_is_reported_and_not_silenced() -> None:
    """Four alarms in vain within a day are a fault, which a restart keeps and a quiet day ends; an event more of the
    same alarm is none more in vain, and what was counted is there after a restart.
    """
    supervisor, at = _supervisor(), FIRST_LOOK_S
    for n in range(CRIES - 1):
        for _ in range(3):
            supervisor.alarm_changed(_in_vain("radar-1", f"a-{n}"), _now(at))
        at += 3600
        assert supervisor.tick(_now(at)) == []
        kept, supervisor = json.loads(json.dumps(supervisor.state())), _supervisor()
        supervisor.restore_rhythm(kept)
    supervisor.alarm_changed(_in_vain("radar-1", "a-4"), _now(at))
    (began,) = supervisor.tick(_now(at + 10))
    assert (began.alarm.reason, began.alarm.device) == (Fault.SENSOR_CRIES_OFTEN, "radar-1")
    again = _supervisor()
    assert again.restore([began.alarm]) == []
    assert again.tick(_now(FIRST_LOOK_S + 1)) == []
    (ended,) = again.tick(_now(CRIES_WITHIN_S + 10))
    assert ended.alarm.state is AlarmState.CLEARED


def test_what_a_device_soon_takes_back_was_in_vain() -> None:
    """Down, and up again within minutes, four times, asked about or raised; what ended later does not count, nor
    what the clock, set back meanwhile, lets end before it began.
    """
    supervisor = _supervisor()
    for n, ended in enumerate((400.0, -1800.0, 10.0, 12.0, 120.0, 290.0)):
        alarm = replace(_in_vain("radar-1", f"a-{n}"), state=AlarmState.CLEARED, reason="condition_ended")
        supervisor.alarm_changed(replace(alarm, changed_at=_T + ended), _now(40))
        told = supervisor.tick(_now(41 + 10 * n))
        assert [(c.alarm.reason, c.alarm.device) for c in told] == ([(Fault.SENSOR_CRIES_OFTEN, "radar-1")] * (n == 5))


def test_a_device_that_cries_with_nobody_answering_is_reported() -> None:
    """As long as so many of its alarms are open; of a device that the home does not know nothing is told."""
    crying = {"watch-1", "gone"}
    host = Host(disk_free=0.5, memory_free=0.5, temperature=40.0)
    devices = (Device("watch-1", DeviceRole.WEARABLE),)
    supervisor = Supervisor(
        devices, list, lambda: host, lambda: True, random.Random(1), _now(0), crying=lambda: set(crying)
    )
    (began,) = supervisor.tick(_now(FIRST_LOOK_S + 1))
    assert (began.alarm.reason, began.alarm.device) == (Fault.SENSOR_CRIES_OFTEN, "watch-1")
    crying.clear()
    (ended,) = supervisor.tick(_now(FIRST_LOOK_S + 11))
    assert ended.alarm.state is AlarmState.CLEARED


def test_alarms_that_were_none_in_vain_do_not_count() -> None:
    """Raised, escalated and cleared alarms, and those of no device of the home."""
    supervisor = _supervisor()
    for device in ("gateway", "gone"):
        for n in range(9):
            supervisor.alarm_changed(_in_vain(device, f"a-{n}"), _now(40))
    assert supervisor.tick(_now(60)) == []
