"""The alarm table, cell by cell, and the question to the resident on a manual clock."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from edge.alarms import TRANSITIONS, Alarms, Changed, Effect, Speak, Trigger
from edge.alarms.ladder import Daytime, Ladder, Ladders, Loudness, Step, TimeOfDay
from edge.clock import Instant
from edge.detectors.base import Detection
from edge.messages import restored_alarm, stored_alarm
from protocols.wire import AlarmKind, AlarmState, Evidence, Priority, TellOutcome, Told


def _at(seconds: float, wall_shift: float = 0.0) -> Instant:
    return Instant(1.8e9 + seconds + wall_shift, 1_000 + seconds)


_DAYTIME = Daytime(ZoneInfo("Asia/Shanghai"))


def _alarms(*own: Ladder) -> Alarms:
    ladders = Ladders(_DAYTIME, own, question_s=30.0)
    return Alarms({"wrist": "bathroom", "pir": "bathroom"}, ladders, random.Random(1))


def _detection(kind: AlarmKind, *, cleared: bool = False, priority: Priority = Priority.HIGH) -> Detection:
    return Detection(kind, priority, 1.8e9, "wrist", "seen", 0.9, (), cleared)


def _states(effects: list[Effect]) -> list[AlarmState]:
    return [e.alarm.state for e in effects if isinstance(e, Changed)]


def _phrases(effects: list[Effect]) -> list[str]:
    return [e.phrase for e in effects if isinstance(e, Speak)]


def test_silence_raises() -> None:
    """A fall asks at once, repeats, asks louder, and is raised when the time is up, not before."""
    alarms = _alarms()
    first = alarms.detect(_detection(AlarmKind.FALL), _at(0))
    assert _states(first) == [AlarmState.PENDING]
    assert _phrases(first) == ["fall_question"]
    assert alarms.tick(_at(9.9)) == []
    assert _phrases(alarms.tick(_at(10.1))) == ["fall_question"]
    (again,) = alarms.tick(_at(20.1))
    assert isinstance(again, Speak)
    assert (again.phrase, again.loudness) == ("are_you_ok_again", Loudness.LOUD)
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


def test_help_in_answer_to_a_minor_question_is_a_call_for_help() -> None:
    """Whatever the home asked about: who says "help" is told of like one who presses the SOS button; no answer is not
    help.
    """
    for answer, priority in (("help", Priority.HIGH), ("", Priority.LOW)):
        alarms = _alarms()
        alarms.detect(_detection(AlarmKind.BED_EXIT, priority=Priority.LOW), _at(0))
        effects = alarms.press(answer, _at(1)) if answer else alarms.tick(_at(60))
        assert [(e.alarm.state, e.alarm.priority) for e in effects if isinstance(e, Changed)] == [
            (AlarmState.RAISED, priority)
        ]


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
    assert again.tick(Instant(1.8e9 + 29, 14.9)) == [], "the louder step had been due before the restart"
    raised = again.tick(Instant(1.8e9 + 30, 15.0))
    assert _states(raised) == [AlarmState.RAISED]
    assert again.open[0].alarm_id == alarms.open[0].alarm_id


_CELLS = {
    (AlarmState.PENDING, Trigger.CANCEL): AlarmState.CANCELLED_BY_RESIDENT,
    (AlarmState.PENDING, Trigger.HELP): AlarmState.RAISED,
    (AlarmState.PENDING, Trigger.SILENCE): AlarmState.RAISED,
    (AlarmState.PENDING, Trigger.MOVEMENT): AlarmState.CLEARED,
    (AlarmState.PENDING, Trigger.WORSE): AlarmState.RAISED,
    (AlarmState.PENDING, Trigger.CONDITION_ENDS): AlarmState.CLEARED,
    (AlarmState.RAISED, Trigger.CANCEL): AlarmState.CANCELLED_BY_RESIDENT,
    (AlarmState.RAISED, Trigger.HELP): AlarmState.ESCALATED,
    (AlarmState.RAISED, Trigger.WORSE): AlarmState.ESCALATED,
    (AlarmState.RAISED, Trigger.CONDITION_ENDS): AlarmState.CLEARED,
    (AlarmState.ESCALATED, Trigger.CANCEL): AlarmState.CANCELLED_BY_RESIDENT,
    (AlarmState.ESCALATED, Trigger.CONDITION_ENDS): AlarmState.CLEARED,
}


@pytest.mark.parametrize("state", list(AlarmState))
@pytest.mark.parametrize("trigger", list(Trigger))
def test_every_cell_of_the_table(state: AlarmState, trigger: Trigger) -> None:
    """Each pair of state and trigger leads where the list above says; every other pair changes nothing."""
    found = TRANSITIONS.get((state, trigger))
    assert (found[0] if found else None) == _CELLS.get((state, trigger))


def _seen_by(device: str, detector: str, kind: AlarmKind = AlarmKind.FALL, *, cleared: bool = False) -> Detection:
    evidence = Evidence(detector=detector, device=device, at=1.8e9, reason="seen")
    return Detection(kind, Priority.HIGH, 1.8e9, device, "seen", 0.9, (evidence,), cleared)


def test_three_sensors_one_fall() -> None:
    """A fall seen by wearable, radar and bed sensor is one alarm whose events carry three pieces of evidence."""
    alarms = _alarms()
    alarms.detect(_seen_by("wrist", "fall"), _at(0))
    alarms.detect(_seen_by("radar", "mmwave"), _at(2))
    (changed,) = alarms.detect(_seen_by("bed", "bed_exit", AlarmKind.BED_EXIT), _at(4))
    assert isinstance(changed, Changed)
    assert changed.alarm.state is AlarmState.PENDING
    assert [e.device for e in changed.alarm.evidence] == ["wrist", "radar", "bed"]
    assert alarms.detect(_seen_by("radar", "mmwave"), _at(5)) == []
    assert len(alarms.open) == 1


def test_smoke_ends_when_no_detector_smells_it() -> None:
    """Two smoke detectors are one alarm, which is cleared when the last of them is clear."""
    alarms = _alarms()
    alarms.detect(_seen_by("hall", "contact", AlarmKind.SMOKE), _at(0))
    alarms.detect(_seen_by("kitchen", "contact", AlarmKind.SMOKE), _at(1))
    assert alarms.detect(_seen_by("hall", "contact", AlarmKind.SMOKE, cleared=True), _at(2)) == []
    ended = alarms.detect(_seen_by("kitchen", "contact", AlarmKind.SMOKE, cleared=True), _at(3))
    assert _states(ended) == [AlarmState.CLEARED]


@pytest.mark.parametrize("kind", [AlarmKind.SMOKE, AlarmKind.GAS, AlarmKind.CO])
def test_gases_sound_at_once(kind: AlarmKind) -> None:
    """Smoke, gas and carbon monoxide are raised with the siren in the same breath, day and night."""
    for wall_shift in (0.0, 12 * 3600.0):
        _, speak = _alarms().detect(_detection(kind), _at(0, wall_shift))
        assert isinstance(speak, Speak)
        assert speak.loudness is Loudness.SIREN


def test_movement_answers_only_where_configured() -> None:
    """Movement ends a question about inactivity once the first seconds are over; it never ends one about a fall."""
    alarms = _alarms()
    alarms.detect(_detection(AlarmKind.FALL), _at(0))
    assert alarms.moved("pir", _at(20)) == []
    alarms = _alarms()
    alarms.detect(_detection(AlarmKind.INACTIVITY), _at(0))
    assert alarms.moved("pir", _at(4)) == []
    assert _states(alarms.moved("pir", _at(6))) == [AlarmState.CLEARED]


def test_help_is_heard_beside_a_technical_alarm() -> None:
    """A flat battery is no reason to take a call for help for an answer to it; cancel does not end it either."""
    alarms = _alarms()
    alarms.detect(Detection(AlarmKind.TECHNICAL, Priority.LOW, 1.8e9, "wrist", "battery_low", 1.0), _at(0))
    alarms.press("cancel", _at(1))
    alarms.press("help", _at(2))
    assert [a.kind for a in alarms.open] == [AlarmKind.TECHNICAL, AlarmKind.SOS]


def test_technical_causes_are_apart() -> None:
    """Each technical cause of each device is one alarm of its own, which ends by itself."""
    alarms = _alarms()
    for device, cause in (("wrist", "battery_low"), ("bed", "battery_low"), ("wrist", "silent"), ("wrist", "silent")):
        alarms.detect(Detection(AlarmKind.TECHNICAL, Priority.LOW, 1.8e9, device, cause, 1.0), _at(0))
    assert len(alarms.open) == 3
    alarms.detect(Detection(AlarmKind.TECHNICAL, Priority.LOW, 1.8e9, "wrist", "silent", 1.0, (), True), _at(1))
    assert [(a.device, a.cause) for a in alarms.open] == [("wrist", "battery_low"), ("bed", "battery_low")]


def test_night_has_its_own_ladder() -> None:
    """The home's own time chooses: at night the first words about vital signs are loud, by day they are not."""
    ladders = Ladders(_DAYTIME)
    night = datetime(2026, 11, 24, 20, 0, tzinfo=UTC).timestamp()
    day = datetime(2026, 11, 24, 4, 0, tzinfo=UTC).timestamp()
    assert ladders.at(AlarmKind.VITALS, night).steps[0].loudness is Loudness.LOUD
    assert ladders.at(AlarmKind.VITALS, day).steps[0].loudness is Loudness.NORMAL
    assert ladders.at(AlarmKind.VITALS, 0.0).raise_s == 30.0, "without a clock the shorter one"


@pytest.mark.parametrize(
    "ladder",
    [
        lambda: Ladder(AlarmKind.SOS, 10.0, (Step(0.0, "are_you_ok"),)),
        lambda: Ladder(AlarmKind.SMOKE, 10.0, (Step(0.0, "are_you_ok"),)),
        lambda: Ladder(AlarmKind.FALL, 301.0, (Step(0.0, "are_you_ok"),)),
        lambda: Ladder(AlarmKind.FALL, 30.0, (Step(30.0, "are_you_ok"),)),
        lambda: Ladder(AlarmKind.FALL, 30.0),
        lambda: Ladders(_DAYTIME, [Ladder(AlarmKind.FALL, time_of_day=TimeOfDay.DAY)]),
        lambda: Ladders(_DAYTIME, [Ladder(AlarmKind.FALL), Ladder(AlarmKind.FALL)]),
    ],
)
def test_impossible_ladders_are_refused(ladder: object) -> None:
    """A ladder that asks where it must not, too long, silently, twice or for half a day is refused."""
    with pytest.raises(ValueError, match=r"fall|sos|smoke"):
        ladder()  # type: ignore[operator]


def test_who_was_told_goes_with_the_alarm() -> None:
    """What the home has sent by itself becomes an event of the same alarm, even when the alarm has just ended."""
    alarms = _alarms()
    alarms.detect(_detection(AlarmKind.SOS), _at(0))
    alarm_id = alarms.open[0].alarm_id
    alarms.press("cancel", _at(1))
    (changed,) = alarms.told(alarm_id, Told("Li", "modem_sms", 1.8e9, TellOutcome.SENT))
    assert isinstance(changed, Changed)
    assert changed.alarm.state is AlarmState.CANCELLED_BY_RESIDENT
    assert [t.who for t in changed.alarm.told] == ["Li"]


def test_worn_device_is_where_motion_was() -> None:
    """A wearable has no room of its own: its alarm names the room that saw motion last, for a while."""
    alarms = Alarms({"pir": "bathroom", "w": None}, Ladders(_DAYTIME, question_s=0), random.Random(1))
    detection = Detection(AlarmKind.FALL, Priority.HIGH, 5.0, "w", "x", 1.0, ())
    alarms.moved("pir", _at(0))
    (changed, *_) = alarms.detect(detection, _at(60))
    assert isinstance(changed, Changed)
    assert changed.alarm.room == "bathroom"
    later = Alarms({"pir": "bathroom", "w": None}, Ladders(_DAYTIME, question_s=0), random.Random(1))
    later.moved("pir", _at(0))
    (changed, *_) = later.detect(detection, _at(1000))
    assert isinstance(changed, Changed)
    assert changed.alarm.room is None
