"""What is about the same moment is one alarm; what is not is seen, however many alarms are open."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.alarms import Alarms, Changed, Effect, Speak
from edge.alarms.ladder import Daytime, Ladders
from edge.alarms.moments import SAME_KIND, TAKES_UP
from edge.alarms.repeats import times
from edge.clock import Instant
from edge.detectors.base import Detection
from edge.messages import restored_alarm, stored_alarm
from protocols.wire import AlarmKind, AlarmState, Evidence, Priority

_T = 1_795_000_000.0
K, S = AlarmKind, AlarmState


def _now(seconds: float) -> Instant:
    return Instant(_T + seconds, 1_000.0 + seconds)


def _alarms(limit: int = 64) -> Alarms:
    return Alarms({}, Ladders(Daytime(ZoneInfo("Asia/Shanghai"))), random.Random(1), limit=limit)


def _seen(
    kind: AlarmKind,
    at: float,
    device: str = "w",
    detector: str = "d",
    priority: Priority = Priority.HIGH,
    *,
    cleared: bool = False,
) -> Detection:
    evidence = Evidence(detector=detector, device=device, at=_T + at, reason="seen")
    return Detection(kind, priority, _T + at, device, "seen", 0.9, (evidence,), cleared)


def _see(alarms: Alarms, kind: AlarmKind, at: float, device: str = "w", detector: str = "d") -> list[Effect]:
    return alarms.detect(_seen(kind, at, device, detector), _now(at))


def _events(effects: list[Effect]) -> list[tuple[AlarmKind, AlarmState]]:
    return [(e.alarm.kind, e.alarm.state) for e in effects if isinstance(e, Changed)]


def test_every_kind_has_its_moment() -> None:
    """Technical causes are each for themselves; of every other kind the table says how long, and why."""
    assert set(SAME_KIND) == set(AlarmKind) - {K.TECHNICAL}
    every = [*SAME_KIND.values(), *(moment for of in TAKES_UP.values() for moment in of.values())]
    assert all(moment.within_s > 0 and moment.source for moment in every)


@pytest.mark.parametrize("kind", [kind for kind in SAME_KIND if kind is not K.UNUSUAL])
def test_just_within_and_just_beyond(kind: AlarmKind) -> None:
    """Once the first is raised, another device's detection joins up to the limit, and is an alarm of its own after."""
    within = SAME_KIND[kind].within_s
    for apart, alarms_open in ((within, 1), (within + 1, 2)):
        alarms = _alarms()
        _see(alarms, kind, 0)
        alarms.tick(_now(min(apart, 300)))  # the longest question is over
        while any(a.state is S.PENDING for a in alarms.open):
            alarms.tick(_now(300))
        _see(alarms, kind, apart, "other")
        assert len(alarms.open) == alarms_open


def test_a_second_fall_while_the_first_is_open() -> None:
    """Twenty minutes later it is asked about anew, and is an alarm with a time, evidence and state of its own."""
    alarms = _alarms()
    _see(alarms, K.FALL, 0)
    alarms.tick(_now(30))
    effects = _see(alarms, K.FALL, 1200)
    assert _events(effects) == [(K.FALL, S.PENDING)]
    assert [e.phrase for e in effects if isinstance(e, Speak)] == ["fall_question"]
    assert _events(alarms.tick(_now(1230))) == [(K.FALL, S.RAISED)]
    first, second = alarms.open
    assert (first.at, second.at) == (_T, _T + 1200)
    assert [e.at for e in second.evidence] == [_T + 1200]


def test_it_is_so_after_a_restart() -> None:
    """What was open before goes on to be the first."""
    before = _alarms()
    _see(before, K.FALL, 0)
    before.tick(_now(30))
    alarms = _alarms()
    alarms.restore([restored_alarm(body) for a in before.open if (body := stored_alarm(a)) is not None], _now(60))
    _see(alarms, K.FALL, 100, "radar")
    assert len(alarms.open) == 1
    _see(alarms, K.FALL, 1200)
    assert len(alarms.open) == 2


def test_the_moment_does_not_slide_along() -> None:
    """A fall every minute and a half does not hide in the first for ever."""
    alarms = _alarms()
    for n in range(6):
        _see(alarms, K.FALL, 90.0 * n)
        alarms.tick(_now(90.0 * n + 40))
    assert [a.at - _T for a in alarms.open] == [0, 180, 450]


def _cries(alarms: Alarms, every_s: float, hours: float, begin: float = 0.0) -> list[Effect]:
    """A watch that reports a fall every so often; nobody answers."""
    effects: list[Effect] = []
    for n in range(int(hours * 3600 / every_s)):
        at = begin + every_s * n
        effects += _see(alarms, K.FALL, at)
        effects += alarms.tick(_now(at + min(every_s, 31) - 0.5))
    return effects


def test_a_watch_that_keeps_reporting_falls_asks_ever_more_rarely() -> None:
    """A fall every half minute for a day: the times between its alarms double up to an hour, every report is counted
    on one of them, and what is told of them stays little.
    """
    alarms = _alarms()
    effects = _cries(alarms, 30, 24)
    asked = [e for e in effects if isinstance(e, Speak) and e.phrase == "fall_question"]
    began = [a.at - _T for a in alarms.open]
    assert began[:7] == [0, 150, 420, 930, 1_920, 3_870, 7_500]
    assert {b - a for a, b in pairwise(began[6:])} == {3_630}
    assert len(began) == 28
    assert len(asked) <= 2 * len(began), "each question is asked and repeated"
    assert sum(times(a, "w") for a in alarms.open) == 24 * 120
    assert sum(isinstance(e, Changed) for e in effects) < 10 * len(began)
    assert alarms.crying() == {"w"}


def test_what_is_repeated_is_seen() -> None:
    """The second and the fourth report within the moment are told as evidence with their own time, the third is not;
    one while the home asks is told with what becomes of the question.
    """
    alarms = _alarms()
    _see(alarms, K.FALL, 0)
    alarms.tick(_now(31))
    told = [bool(_events(_see(alarms, K.FALL, at))) for at in (40, 60, 80, 100)]
    assert told == [True, False, True, False]
    (alarm,) = alarms.open
    assert [(e.at - _T, e.numbers.get("times")) for e in alarm.evidence] == [(0, None), (100, 5)]
    asking = _alarms()
    _see(asking, K.FALL, 0)
    assert _see(asking, K.FALL, 20) == []
    (raised,) = [e.alarm for e in asking.tick(_now(31)) if isinstance(e, Changed)]
    assert [(e.at - _T, e.numbers.get("times")) for e in raised.evidence] == [(0, None), (20, 2)]


def test_a_true_second_fall_beside_a_crying_watch() -> None:
    """A radar's fall, or another watch's, is an alarm of its own two minutes after the last; and so is a call."""
    alarms = _alarms()
    _cries(alarms, 30, 4)
    last = max(a.at for a in alarms.open) - _T
    known = len(alarms.open)
    assert _events(_see(alarms, K.FALL, last + 119, "radar")) == [(K.FALL, S.RAISED)]
    assert _events(_see(alarms, K.FALL, last + 121, "other")) == [(K.FALL, S.PENDING)]
    assert _events(_see(alarms, K.SOS, last + 122, "button"))[-1] == (K.SOS, S.RAISED)
    assert len(alarms.open) == known + 2


@pytest.mark.parametrize("answered", [True, False])
def test_after_the_answer_a_watch_begins_anew(answered: bool) -> None:
    """The row is of alarms that are open: the resident's answer ends it, and so does the call centre's close."""
    alarms = _alarms()
    _cries(alarms, 30, 4)
    if answered:
        alarms.press("cancel", _now(14_401))
    else:
        alarms.stand_down("i-1")
    assert alarms.open == ()
    assert alarms.crying() == set()
    assert _events(_see(alarms, K.FALL, 14_500)) == [(K.FALL, S.PENDING)]
    alarms.tick(_now(14_531))
    assert _events(_see(alarms, K.FALL, 14_621)) == [(K.FALL, S.PENDING)]


def test_a_row_goes_on_after_a_restart() -> None:
    """How many are open, and how often each was reported as last told, are on flash with the alarms."""
    before = _alarms()
    _cries(before, 30, 1)
    alarms = _alarms()
    alarms.restore([restored_alarm(body) for a in before.open if (body := stored_alarm(a)) is not None], _now(3_600))
    assert alarms.crying() == {"w"}
    assert [times(a, "w") for a in alarms.open] == [times(a, "w") for a in before.open]
    last = max(a.at for a in alarms.open) - _T
    assert not [e for e in _see(alarms, K.FALL, last + 1_900) if isinstance(e, Speak)]
    assert _events(_see(alarms, K.FALL, last + 1_930)) == [(K.FALL, S.PENDING)]


@given(st.lists(st.tuples(st.floats(0.5, 4_000), st.sampled_from(["w", "w", "w", "radar"])), max_size=60))
def test_no_fall_is_ever_lost(falls: list[tuple[float, str]]) -> None:
    """Whatever comes when: each is an alarm or counted on one, what a device has not said for an hour is its own, and
    of two devices each has its own row.
    """
    alarms, at, reports = _alarms(), 0.0, Counter[str]()
    heard: dict[str, float] = {}
    for passed, device in falls:
        at += passed
        alarms.tick(_now(at))
        known = {a.alarm_id for a in alarms.open}
        _see(alarms, K.FALL, at, device)
        reports[device] += 1
        own = {a.alarm_id for a in alarms.open} - known
        assert (
            own
            or at - heard.get(device, -math.inf) <= 3_600
            or any(a.state is S.PENDING or at - (a.at - _T) <= 120 for a in alarms.open)
        )
        if own:
            heard[device] = at
    counted = Counter(a.device for a in alarms.open)
    for alarm in alarms.open:
        for device in {e.device for e in alarm.evidence}:
            counted[device] += times(alarm, device) - 1 + (device != alarm.device)
    assert counted == reports


def test_a_call_repeated_because_nobody_comes_is_heard() -> None:
    """Presses in one breath are one call; one ten minutes later is another, by an SOS button as by one for help."""
    alarms = _alarms()
    _see(alarms, K.SOS, 0)
    assert _see(alarms, K.SOS, 10) == []
    assert _events(_see(alarms, K.SOS, 600)) == [(K.SOS, S.RAISED)]
    alarms = _alarms()
    for at in (0, 5, 600, 1200):
        heard = _events(alarms.press("help", _now(at)))
        assert heard, f"pressed at {at} s"
    assert [a.kind for a in alarms.open] == [K.SOS, K.SOS]


def test_help_beside_a_notice_is_a_call() -> None:
    """An open notice of low priority does not swallow the press: there is a call of high priority."""
    alarms = _alarms()
    alarms.detect(_seen(K.HEAT, 0, priority=Priority.LOW), _now(0))
    alarms.press("help", _now(60))
    assert (K.SOS, Priority.HIGH) in [(a.kind, a.priority) for a in alarms.open]


def test_help_answers_a_question_and_is_no_second_call() -> None:
    """Whoever says help to "have you fallen" has one alarm."""
    alarms = _alarms()
    _see(alarms, K.FALL, 0)
    alarms.press("help", _now(5))
    assert [(a.kind, a.state) for a in alarms.open] == [(K.FALL, S.RAISED)]


def test_a_condition_that_grows_worse_joins_at_any_time() -> None:
    """The same detector's higher level hours later escalates at once, with the new evidence; a lower one is new."""
    alarms = _alarms()
    alarms.detect(_seen(K.VITALS, 0, priority=Priority.MEDIUM), _now(0))
    alarms.tick(_now(300))
    effects = alarms.detect(_seen(K.VITALS, 20_000, priority=Priority.HIGH), _now(20_000))
    assert _events(effects) == [(K.VITALS, S.ESCALATED)]
    (alarm,) = alarms.open
    assert [e.at - _T for e in alarm.evidence] == [0, 20_000]
    assert _events(alarms.detect(_seen(K.VITALS, 40_000, priority=Priority.MEDIUM), _now(40_000)))
    assert len(alarms.open) == 2


def test_a_notice_of_days_ago_takes_up_nothing() -> None:
    """A trend nobody has closed and a bad score three days later are two alarms; the score ends only its own."""
    alarms = _alarms()
    alarms.detect(_seen(K.VITALS, 0, "scale", "trends", Priority.LOW), _now(0))
    alarms.tick(_now(300))
    later = 3 * 86_400.0
    assert _events(alarms.detect(_seen(K.VITALS, later, "oxi", "news2"), _now(later))) == [(K.VITALS, S.PENDING)]
    ended = alarms.detect(_seen(K.VITALS, later + 10, "oxi", "news2", cleared=True), _now(later + 10))
    assert _events(ended) == [(K.VITALS, S.CLEARED)]
    assert [a.device for a in alarms.open] == ["scale"]


def test_what_follows_from_a_fall_is_no_alarm_of_its_own() -> None:
    """Who lies on the floor is out of bed and still; the next night is another matter."""
    alarms = _alarms()
    _see(alarms, K.FALL, 0)
    alarms.tick(_now(30))
    _see(alarms, K.BED_EXIT, 5_000, "bed")
    _see(alarms, K.INACTIVITY, 20_000, "pir")
    assert [(a.kind, len(a.evidence)) for a in alarms.open] == [(K.FALL, 3)]
    _see(alarms, K.BED_EXIT, 86_400, "bed")
    assert [a.kind for a in alarms.open] == [K.FALL, K.BED_EXIT]


def test_what_led_to_a_fall_is_in_its_evidence() -> None:
    """Out of bed first and then down: the operator sees both in the fall; of a night ago only the fall."""
    alarms = _alarms()
    _see(alarms, K.BED_EXIT, 0, "bed")
    _see(alarms, K.FALL, 300, "radar")
    assert [(a.kind, [e.device for e in a.evidence]) for a in alarms.open] == [
        (K.BED_EXIT, ["bed"]),
        (K.FALL, ["radar", "bed"]),
    ]
    later = _alarms()
    _see(later, K.BED_EXIT, 0, "bed")
    _see(later, K.FALL, 86_400, "radar")
    assert [e.device for e in later.open[-1].evidence] == ["radar"]


@pytest.mark.parametrize("devices", [("watch", "radar"), ("radar", "watch")])
def test_in_whatever_order_they_come(devices: tuple[str, str]) -> None:
    """One fall seen by two, of which the later to speak may have seen it first."""
    alarms = _alarms()
    alarms.detect(_seen(K.FALL, 60, devices[0]), _now(61))
    alarms.tick(_now(120))
    alarms.detect(_seen(K.FALL, 0, devices[1]), _now(130))
    (alarm,) = alarms.open
    assert [e.device for e in alarm.evidence] == [*devices]


def test_another_fall_soon_after_the_answer_is_asked_about() -> None:
    """Fine, says the resident, and falls again in getting up; the watch's own word for the first fall is no second."""
    alarms = _alarms()
    _see(alarms, K.FALL, 0, "watch", "fall_wrist")
    alarms.press("cancel", _now(20))
    assert _see(alarms, K.FALL, 25, "watch", "radar") == []
    assert alarms.counts["repeated"] == 1
    assert _events(_see(alarms, K.FALL, 45, "watch", "fall_wrist")) == [(K.FALL, S.PENDING)]


def test_worse_soon_after_the_answer_is_asked_about() -> None:
    """A score that rises half a minute after the resident said that all is well."""
    alarms = _alarms()
    alarms.detect(_seen(K.VITALS, 0, "oxi", "news2", Priority.MEDIUM), _now(0))
    alarms.press("cancel", _now(10))
    assert _events(alarms.detect(_seen(K.VITALS, 40, "oxi", "news2"), _now(40))) == [(K.VITALS, S.PENDING)]
    assert [a.priority for a in alarms.open] == [Priority.HIGH]


def test_with_no_room_left_nothing_is_lost() -> None:
    """A sensor that cries without end fills its room; then its detections join what is open of their kind."""
    alarms = _alarms(limit=3)
    for n in range(10):
        _see(alarms, K.FALL, 1_000.0 * n)
        alarms.tick(_now(1_000.0 * n + 60))
    assert len(alarms.open) == 3
    assert alarms.counts["too_many_open"] == 0
    assert alarms.counts["merged"] == 7
    assert _events(_see(alarms, K.FALL, 20_000, "radar")) == [(K.FALL, S.RAISED)]


def test_an_unusual_number_is_none_of_the_residents_business() -> None:
    """It is raised without a word, no button ends it, a call beside it is a call, and standing down leaves it."""
    alarms = _alarms()
    effects = _see(alarms, K.UNUSUAL, 0, "fridge", "unusual_power")
    assert _events(effects) == [(K.UNUSUAL, S.RAISED)]
    assert not [e for e in effects if isinstance(e, Speak)]
    assert alarms.press("cancel", _now(1)) == []
    assert _events(alarms.press("help", _now(2))) == [(K.SOS, S.RAISED)]
    alarms.stand_down("i-1")
    assert [a.kind for a in alarms.open] == [K.UNUSUAL]
    _see(alarms, K.UNUSUAL, 3, "lamp", "unusual_illuminance")
    assert len(alarms.open) == 2, "another device is another matter"
    ended = alarms.detect(_seen(K.UNUSUAL, 9_000, "fridge", "unusual_power", cleared=True), _now(9_000))
    assert _events(ended) == [(K.UNUSUAL, S.CLEARED)]
    assert [e.alarm.reason for e in ended if isinstance(e, Changed)] == ["seen"], "the incident's cause"


def test_a_watch_that_cries_for_days_uses_up_no_room_of_others() -> None:
    """With as many falls open as there may be, smoke and each call for help are alarms of their own."""
    alarms = _alarms(limit=8)
    _cries(alarms, 120, 12)
    falls, at = len(alarms.open), 12 * 3600.0
    assert falls == 8
    for n, (kind, device) in enumerate([(K.SMOKE, "kitchen"), (K.SOS, "bell"), (K.SOS, "bell")]):
        assert [e for e in _see(alarms, kind, at + 600 * n, device) if isinstance(e, Changed)]
        assert len(alarms.open) == falls + n + 1
    assert alarms.counts["too_many_open"] == 0
