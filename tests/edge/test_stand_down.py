"""A closed incident ends its own alarms in the home, and nobody else's."""

from __future__ import annotations

import random
from zoneinfo import ZoneInfo

from edge.alarms import Alarms, Changed
from edge.alarms.ladder import Daytime, Ladders
from edge.clock import Instant
from edge.detectors.base import Detection
from protocols.wire import AlarmKind, Priority

_T = 1_795_000_000.0
K = AlarmKind


def _now(seconds: float) -> Instant:
    return Instant(_T + seconds, 1_000.0 + seconds)


def _alarms() -> Alarms:
    return Alarms({}, Ladders(Daytime(ZoneInfo("Asia/Shanghai"))), random.Random(1))


def _raise(alarms: Alarms, kind: AlarmKind, at: float, device: str) -> str:
    effects = alarms.detect(Detection(kind, Priority.HIGH, _T + at, device, "seen", 0.9), _now(at))
    alarms.tick(_now(at + 300))
    return next(e.alarm.alarm_id for e in effects if isinstance(e, Changed))


def test_a_closed_test_leaves_a_fall_alone() -> None:
    """The test's alarm goes; the fall stays raised, and nobody says that the call has ended."""
    alarms = _alarms()
    fall = _raise(alarms, K.FALL, 0, "w")
    alarms.test(_now(400))
    test = next(a.alarm_id for a in alarms.open if a.alarm_id != fall)
    assert alarms.stand_down("i-test", [test]) == ([test], [])
    assert [a.alarm_id for a in alarms.open] == [fall]
    ids, said = alarms.stand_down("i-fall", [fall])
    assert (ids, [(s.phrase, s.ends) for s in said]) == ([fall], [("stood_down", True)])


def test_what_the_cloud_has_not_heard_of_yet_stays() -> None:
    """An alarm raised while the operator closes the incident before it is not among the incident's."""
    alarms = _alarms()
    first = _raise(alarms, K.SOS, 0, "sos-1")
    second = _raise(alarms, K.SOS, 100, "sos-1")
    assert alarms.stand_down("i-1", [first])[0] == [first]
    assert [a.alarm_id for a in alarms.open] == [second]


def test_an_open_question_goes_on() -> None:
    """It is the resident's to answer, even where the incident names it."""
    alarms = _alarms()
    effects = alarms.detect(Detection(K.FALL, Priority.HIGH, _T, "w", "seen", 0.9), _now(0))
    asked = next(e.alarm.alarm_id for e in effects if isinstance(e, Changed))
    assert alarms.stand_down("i-1", [asked]) == ([], [])
    assert len(alarms.open) == 1


def test_a_siren_goes_off_unless_another_alarm_sounds_it() -> None:
    """Smoke is over, a fall is open: the siren is silenced. With gas open it sounds on."""
    alarms = _alarms()
    smoke = _raise(alarms, K.SMOKE, 0, "smoke-1")
    _raise(alarms, K.FALL, 10, "w")
    gas = _raise(alarms, K.GAS, 20, "gas-1")
    assert alarms.stand_down("i-1", [smoke])[1] == []
    assert [(s.phrase, s.ends) for s in alarms.stand_down("i-2", [gas])[1]] == [("silenced", True)]


def test_a_cloud_that_names_none_means_all() -> None:
    """As a cloud of the version before says it."""
    alarms = _alarms()
    both = [_raise(alarms, K.FALL, 0, "w"), _raise(alarms, K.SOS, 100, "sos-1")]
    ids, said = alarms.stand_down("i-1")
    assert ids == both
    assert [s.phrase for s in said] == ["stood_down"]
