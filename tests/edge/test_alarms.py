"""The alarm table, cell by cell, and the question to the resident on a manual clock."""

from __future__ import annotations

import random

import pytest

from edge.alarms import TRANSITIONS, Alarms, Changed, Effect, Speak, Trigger
from edge.clock import Instant
from edge.detectors.base import Detection
from edge.messages import restored_alarm, stored_alarm
from protocols.wire import AlarmKind, AlarmState, Priority


def _at(seconds: float, wall_shift: float = 0.0) -> Instant:
    return Instant(1.8e9 + seconds + wall_shift, 1_000 + seconds)


def _alarms() -> Alarms:
    ask = frozenset({AlarmKind.FALL, AlarmKind.VITALS})
    return Alarms({"wrist": "bathroom"}, ask, 30.0, random.Random(1))


def _detection(kind: AlarmKind, *, cleared: bool = False, priority: Priority = Priority.HIGH) -> Detection:
    return Detection(kind, priority, 1.8e9, "wrist", "seen", 0.9, (), cleared)


def _states(effects: list[Effect]) -> list[AlarmState]:
    return [e.alarm.state for e in effects if isinstance(e, Changed)]


def _phrases(effects: list[Effect]) -> list[str]:
    return [e.phrase for e in effects if isinstance(e, Speak)]


def test_silence_raises() -> None:
    """A fall asks at once, asks louder at half time, and is raised when the time is up, not before."""
    alarms = _alarms()
    first = alarms.detect(_detection(AlarmKind.FALL), _at(0))
    assert _states(first) == [AlarmState.PENDING]
    assert _phrases(first) == ["are_you_ok"]
    assert _phrases(alarms.tick(_at(15))) == ["are_you_ok_again"]
    assert alarms.tick(_at(29.9)) == []
    assert _states(alarms.tick(_at(30))) == [AlarmState.RAISED]
    assert alarms.tick(_at(31)) == []


def test_clock_set_back_changes_nothing() -> None:
    """The question ends on time even if the wall clock jumps back an hour."""
    alarms = _alarms()
    alarms.detect(_detection(AlarmKind.FALL), _at(0))
    assert _states(alarms.tick(_at(30, wall_shift=-3600))) == [AlarmState.RAISED]


@pytest.mark.parametrize(("button", "state"), [("cancel", "cancelled_by_resident"), ("help", "raised")])
def test_resident_answers(button: str, state: str) -> None:
    """The resident's button decides an open question."""
    alarms = _alarms()
    alarms.detect(_detection(AlarmKind.FALL), _at(0))
    assert _states(alarms.press(button, _at(3))) == [AlarmState(state)]


def test_smoke_cannot_be_cancelled() -> None:
    """Smoke is raised at once with the siren, and the cancel button does not end it."""
    alarms = _alarms()
    effects = alarms.detect(_detection(AlarmKind.SMOKE), _at(0))
    assert _states(effects) == [AlarmState.RAISED]
    assert _phrases(effects) == ["smoke_siren"]
    assert alarms.press("cancel", _at(1)) == []
    assert alarms.counts["not_cancellable"] == 1


def test_same_kind_joins() -> None:
    """A second detection of an open alarm's kind opens no second alarm."""
    alarms = _alarms()
    alarms.detect(_detection(AlarmKind.FALL), _at(0))
    assert alarms.detect(_detection(AlarmKind.FALL), _at(5)) == []
    assert len(alarms.open) == 1


def test_sos_raises_the_open_question() -> None:
    """An SOS press while a fall is pending raises both."""
    alarms = _alarms()
    alarms.detect(_detection(AlarmKind.FALL), _at(0))
    effects = alarms.detect(_detection(AlarmKind.SOS), _at(2))
    assert _states(effects) == [AlarmState.RAISED, AlarmState.RAISED]


def test_restart_keeps_the_question() -> None:
    """After a restart an open question goes on with the time it had left, under the same alarm id."""
    alarms = _alarms()
    alarms.detect(_detection(AlarmKind.FALL), _at(0))
    bodies = [stored_alarm(a) for a in alarms.open]
    again = _alarms()
    again.restore([restored_alarm(b) for b in bodies if b is not None], Instant(1.8e9 + 20, 5.0))
    assert again.tick(Instant(1.8e9 + 29, 14.9)) == []
    raised = again.tick(Instant(1.8e9 + 30, 15.0))
    assert _states(raised) == [AlarmState.RAISED]
    assert again.open[0].alarm_id == alarms.open[0].alarm_id


def test_every_cell_of_the_table() -> None:
    """Ended states have no way out, and every open state can end."""
    for state in AlarmState:
        ways = {t: TRANSITIONS[state, t][0] for t in Trigger if (state, t) in TRANSITIONS}
        if state in (AlarmState.CANCELLED_BY_RESIDENT, AlarmState.CLEARED):
            assert not ways
        else:
            assert AlarmState.CLEARED in ways.values()
            assert ways[Trigger.CANCEL] is AlarmState.CANCELLED_BY_RESIDENT


def test_worn_device_is_where_motion_was() -> None:
    """A wearable has no room of its own: its alarm names the room that saw motion last, for a while."""
    alarms = Alarms({"pir": "bathroom", "w": None}, frozenset(), 30.0, random.Random(1))
    detection = Detection(AlarmKind.FALL, Priority.HIGH, 5.0, "w", "x", 1.0, ())
    alarms.moved("pir", _at(0))
    (changed, *_) = alarms.detect(detection, _at(60))
    assert isinstance(changed, Changed)
    assert changed.alarm.room == "bathroom"
    later = Alarms({"pir": "bathroom", "w": None}, frozenset(), 30.0, random.Random(1))
    later.moved("pir", _at(0))
    (changed, *_) = later.detect(detection, _at(1000))
    assert isinstance(changed, Changed)
    assert changed.alarm.room is None
