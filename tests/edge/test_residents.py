"""Two people in one home: what their devices measure never mixes, in detectors and in alarms."""

from __future__ import annotations

import json
import random
from zoneinfo import ZoneInfo

import pytest

from edge.alarms import Alarms
from edge.alarms.ladder import Daytime, Ladders
from edge.clock import Instant
from edge.detectors.base import Detection
from edge.detectors.facade import Detectors, build
from edge.detectors.routine import RoutineProfile
from edge.readings import Device, DeviceRole, Reading
from edge.residents import Residents
from protocols.wire import AlarmKind, Evidence, Priority

_T = 1_795_000_000.0
_ZONE = ZoneInfo("Asia/Shanghai")


def _home(li: str | None, wang: str | None) -> tuple[Device, ...]:
    return (
        Device("oxi-li", DeviceRole.OXIMETER, person=li),
        Device("cuff-li", DeviceRole.CUFF, person=li),
        Device("oxi-wang", DeviceRole.OXIMETER, person=wang),
        Device("cuff-wang", DeviceRole.CUFF, person=wang),
        Device("scale", DeviceRole.SCALE),
        Device("pir", DeviceRole.MOTION, "living"),
    )


def _detectors(devices: tuple[Device, ...], residents: int) -> Detectors:
    return build(devices, routine=RoutineProfile(_ZONE, residents))


def _measured(detectors: Detectors, values: dict[str, tuple[str, float]], seconds: int = 200) -> list[Detection]:
    """The same values again and again."""
    found = []
    for t in range(0, seconds, 5):
        for device, (metric, value) in values.items():
            found += detectors.on_reading(Reading(device, metric, _T + t, value), _T + t)
        found += detectors.on_tick(_T + t)
    return [d for d in found if d.kind is AlarmKind.VITALS]


HALVES = {"oxi-li": ("respiration_rate", 22.0), "cuff-li": ("systolic", 108.0), "oxi-wang": ("spo2", 93.0)}
"""2 + 1 points of one and 2 of the other: five, an alarm, only if they were one person."""


@pytest.mark.parametrize(
    ("li", "wang", "residents", "reasons"),
    [
        (None, None, 1, ["news2_5_or_more"]),
        ("li", "li", 1, ["news2_5_or_more"]),
        ("li", None, 1, ["news2_5_or_more"]),
        ("li", "wang", 2, []),
        ("li", "wang", 1, []),
        (None, None, 2, []),
        ("li", None, 2, []),
    ],
)
def test_scores_of_two_people_do_not_add_up(
    li: str | None, wang: str | None, residents: int, reasons: list[str]
) -> None:
    """Three points of one and two of the other are no five, whether the devices are named or nobody's."""
    found = _measured(_detectors(_home(li, wang), residents), HALVES)
    assert [d.reason for d in found] == reasons


def test_each_has_an_alarm_of_their_own() -> None:
    """Both are low at once: an alarm each, of their own device; who recovers clears only theirs."""
    detectors = _detectors(_home("li", "wang"), 2)
    found = _measured(detectors, {"oxi-li": ("spo2", 85.0), "oxi-wang": ("spo2", 86.0)})
    assert sorted(d.device for d in found) == ["oxi-li", "oxi-wang"]
    alarms = Alarms({}, Ladders(Daytime(_ZONE)), random.Random(1), residents=Residents(_home("li", "wang"), 2))
    for detection in found:
        alarms.detect(detection, Instant(detection.at, detection.at))
    assert [a.device for a in alarms.open] == [d.device for d in found]
    better = Detection(AlarmKind.VITALS, Priority.LOW, _T + 999, "oxi-li", "condition_ended", 1.0, cleared=True)
    alarms.detect(better, Instant(_T + 999, _T + 999))
    assert [a.device for a in alarms.open] == ["oxi-wang"]


def test_alarms_of_one_resident_are_one() -> None:
    """Alone, or by devices of the same person, further vital signs join the open alarm."""
    for residents in (Residents(_home(None, None), 1), Residents(_home("li", "wang"), 2)):
        alarms = Alarms({}, Ladders(Daytime(_ZONE)), random.Random(1), residents=residents)
        for device in ("oxi-li", "cuff-li"):
            evidence = Evidence(detector="news2", device=device, at=_T, reason="x")
            seen = Detection(AlarmKind.VITALS, Priority.MEDIUM, _T, device, "x", 1.0, (evidence,))
            alarms.detect(seen, Instant(_T, _T))
        assert len(alarms.open) == 1


def test_two_who_fall_are_two_alarms() -> None:
    """By named wearables; a radar is nobody's, and what it sees joins."""
    worn = (Device("w1", DeviceRole.WEARABLE, person="li"), Device("w2", DeviceRole.WEARABLE, person="wang"))
    residents = Residents((*worn, Device("radar", DeviceRole.PRESENCE)), 2)
    alarms = Alarms({}, Ladders(Daytime(_ZONE)), random.Random(1), residents=residents)
    for device in ("w1", "w2", "radar"):
        seen = Detection(AlarmKind.FALL, Priority.HIGH, _T, device, "fell", 0.9)
        alarms.detect(seen, Instant(_T, _T))
    assert [a.device for a in alarms.open] == ["w1", "w2"]


def test_a_scale_that_two_share_shows_no_trend() -> None:
    """Weights of 60 and 66 kg in turn are no fluid, but dangerous sugar of whoever it is is told."""
    detectors = _detectors((*_home("li", "wang"), Device("meter", DeviceRole.SCALE)), 2)
    found = []
    for n in range(30):
        found += detectors.on_reading(Reading("scale", "weight", _T + n * 43_200, 60.0 + 6 * (n % 2)), _T + n * 43_200)
    assert found == []
    at = _T + 30 * 43_200
    for n in range(2):
        found += detectors.on_reading(Reading("meter", "glucose", at + n * 300, 2.7), at + n * 300)
    assert {d.reason for d in found} == {"glucose_low", "glucose_very_low"}


def test_memories_stay_apart_over_a_restart() -> None:
    """Each group's state has a key of its own, and what was known of one resident alone is kept under the old one."""
    before, again = (_detectors(_home("li", "wang"), 2) for _ in range(2))
    _measured(before, HALVES)
    state = json.loads(json.dumps(before.state()))
    assert {"vitals/person:li", "vitals/person:wang", "trends/device:scale"} <= state["detectors"].keys()
    assert "vitals" not in state["detectors"]
    assert again.restore(state) == {}
    assert again.state() == before.state()
    assert "vitals" in _detectors(_home("li", "li"), 1).state()["detectors"]
