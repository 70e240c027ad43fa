"""Who is told when, at most once, over any crash; and who hears that it is over."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edge.alarms import Alarm
from edge.clock import Instant
from edge.clock.system import SystemClock
from edge.fallback.contacts import Contact
from edge.fallback.family import Family
from edge.fallback.ladder import RETRY_S, SLOW_RETRY_S, Tellings, told_of
from edge.fallback.sender import Unready, UnreadyError
from protocols.faults import Fault
from protocols.wire import AlarmKind, AlarmState, Priority, TellOutcome, Told, ToldWhat

A, B = Contact("女儿", "13800000001"), Contact("Mr Li", "13800000002", 120.0, "en")
ALARM = Alarm("a1", AlarmKind.FALL, Priority.HIGH, AlarmState.RAISED, 1.8e9, 1.8e9, "impact", "wrist", "bathroom")
OVER = replace(ALARM, state=AlarmState.CANCELLED_BY_RESIDENT)


def _at(seconds: float, wall_shift: float = 0.0) -> Instant:
    return Instant(1.8e9 + seconds + wall_shift, 1_000.0 + seconds)


def _due(tellings: Tellings, seconds: float) -> list[tuple[str, ToldWhat]]:
    return [(step.contact.phone, step.what) for _, step in tellings.due(_at(seconds))]


def _send(tellings: Tellings, seconds: float, outcome: TellOutcome) -> list[str]:
    told = []
    for case, step in tellings.due(_at(seconds)):
        tellings.begin(step, "modem_sms", _at(seconds))
        tellings.finish(case, step, outcome, _at(seconds))
        told.append(step.contact.phone)
    return told


def test_each_contact_at_its_own_delay_once() -> None:
    """The first contact after the waiting time, the next one later, nobody twice; a wall clock that jumps changes
    nothing.
    """
    tellings = Tellings(60.0, (A, B))
    tellings.watch(ALARM, _at(0))
    assert _due(tellings, 59.9) == []
    assert _send(tellings, 60.0, TellOutcome.SENT) == [A.phone]
    assert tellings.due(_at(179.0, wall_shift=1e6)) == []
    assert _send(tellings, 180.0, TellOutcome.UNKNOWN) == [B.phone]
    assert _due(tellings, 1e5) == []


def test_what_the_cloud_takes_is_told_no_further() -> None:
    """The cloud's acknowledgement ends the ladder; who was told already still hears the end, and only they do."""
    tellings = Tellings(60.0, (A, B))
    tellings.watch(ALARM, _at(0))
    _send(tellings, 60.0, TellOutcome.SENT)
    tellings.taken(["a1"])
    assert _due(tellings, 500.0) == []
    tellings.stood_down(["a1"], _at(600))
    assert _due(tellings, 600.0) == [(A.phone, ToldWhat.STAND_DOWN)]


def test_taken_in_time_leaves_nothing() -> None:
    """An alarm the cloud took before anybody was told is forgotten; one that comes back worse waits anew."""
    tellings = Tellings(60.0, (A,))
    tellings.watch(ALARM, _at(0))
    tellings.taken(["a1"])
    assert tellings.cases == {}
    tellings.watch(replace(ALARM, state=AlarmState.ESCALATED), _at(1_000))
    assert _due(tellings, 1_059.0) == []
    assert _due(tellings, 1_060.0) == [(A.phone, ToldWhat.ALARM)]


def test_a_question_rings_nobody() -> None:
    """Only what was raised is told; what the resident cancels in time is not."""
    tellings = Tellings(60.0, (A,))
    tellings.watch(replace(ALARM, state=AlarmState.PENDING), _at(0))
    tellings.watch(OVER, _at(20))
    assert _due(tellings, 1e4) == []


def test_a_failure_is_tried_again_ever_more_slowly_and_reported_once() -> None:
    """Short pauses, one report of the failure, then slow tries while nobody has the alarm; success is reported too."""
    tellings = Tellings(0.0, (A,))
    tellings.watch(ALARM, _at(0))
    at = 0.0
    for pause in (*RETRY_S, SLOW_RETRY_S, SLOW_RETRY_S):
        assert _send(tellings, at, TellOutcome.FAILED) == [A.phone]
        assert _due(tellings, at + pause - 0.1) == []
        at += pause
    ((_, step),) = tellings.unreported()
    assert told_of(step).outcome is TellOutcome.FAILED
    tellings.reported(step)
    assert tellings.unreported() == []
    assert _send(tellings, at, TellOutcome.SENT) == [A.phone]
    assert [told_of(s).outcome for _, s in tellings.unreported()] == [TellOutcome.SENT]


def test_contacts_may_change_in_the_middle(tmp_path: Path) -> None:
    """A new contact is told, a removed one is not, and who was told stays told."""
    tellings = Tellings(60.0, (A, B))
    tellings.watch(ALARM, _at(0))
    _send(tellings, 60.0, TellOutcome.SENT)
    (tellings_file := tmp_path / "f").write_bytes(tellings.body())
    changed = Tellings(60.0, (replace_phone(A, "13800000003"), A))
    changed.load(tellings_file, _at(300))
    assert _due(changed, 300.0) == [("13800000003", ToldWhat.ALARM)]


def replace_phone(contact: Contact, phone: str) -> Contact:
    """The same person at another number."""
    return msgspec.structs.replace(contact, phone=phone)


def test_a_restart_goes_on_with_the_time(tmp_path: Path) -> None:
    """The time spent off counts; a step on its way is unknown and is not repeated."""
    tellings = Tellings(60.0, (A, B))
    tellings.watch(ALARM, _at(0))
    ((_, step),) = tellings.due(_at(60))
    tellings.begin(step, "modem_sms", _at(60))
    (tmp_path / "f").write_bytes(tellings.body())
    again = Tellings(60.0, (A, B))
    again.load(tmp_path / "f", Instant(1.8e9 + 100, 5.0))
    assert again.due(Instant(1.8e9 + 100, 5.0)) == []
    assert [(told_of(s).who, told_of(s).outcome) for _, s in again.unreported()] == [("女儿", TellOutcome.UNKNOWN)]
    assert [s.contact.phone for _, s in again.due(Instant(1.8e9 + 180, 85.0))] == [B.phone]


def test_an_unreadable_file_is_no_reason_to_stay_silent(tmp_path: Path) -> None:
    """Whatever is in the file, the next alarm is told."""
    (tmp_path / "f").write_bytes(b"\x00{")
    tellings = Tellings(0.0, (A,))
    tellings.load(tmp_path / "f", _at(0))
    tellings.watch(ALARM, _at(0))
    assert _due(tellings, 0.0) == [(A.phone, ToldWhat.ALARM)]


class _Killed(BaseException):
    """The process is gone."""


class _Sender:
    """Takes messages and dies when the dice say so, before or after the message is out."""

    channel = "modem_sms"

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.out: Counter[tuple[str, bool]] = Counter()

    def _die(self) -> None:
        if self.rng.random() < 0.15:
            raise _Killed

    async def prepare(self) -> None:
        """Sometimes no network, sometimes the end."""
        self._die()
        if self.rng.random() < 0.2:
            raise UnreadyError(Unready.NO_NETWORK, "none")

    async def send(self, message_id: str, phone: str, text: str) -> TellOutcome:
        """Sometimes refused, sometimes the end."""
        self._die()
        if self.rng.random() < 0.2:
            return TellOutcome.FAILED
        self.out[phone, message_id.endswith("-over")] += 1
        self._die()
        return TellOutcome.SENT

    async def close(self) -> None:
        """Nothing is held."""


class _Time(SystemClock):
    """A clock that a test moves."""

    seconds = 0.0

    def now(self) -> Instant:
        """As moved."""
        return _at(self.seconds)


@pytest.mark.parametrize("seed", range(20))
async def test_killed_anywhere_nobody_is_told_twice_and_nobody_is_skipped(seed: int, tmp_path: Path) -> None:
    """Whenever the process dies, every contact gets each message at most once, and every step has its report."""
    rng = random.Random(seed)
    clock, sender, told = _Time(), _Sender(rng), dict[tuple[str, ToldWhat], Told]()

    async def on_told(_alarm_id: str, whom: Told) -> None:
        sender._die()
        told[whom.who, whom.what] = whom
        sender._die()

    def family() -> Family:
        made = Family(senders=(sender,), contacts=(A, B), after_s=60.0, home="gw-1", folder=tmp_path, clock=clock,
                      on_told=on_told)  # fmt: skip
        made.load()
        return made

    ladder = family()
    ladder.watch(ALARM)
    await ladder._save()
    ended = False
    for _ in range(400):
        clock.seconds += 20
        if clock.seconds > 2_000 and not ended:
            ladder.watch(OVER)
            await ladder._save()
            ended = True
        try:
            await ladder.round()
        except _Killed:
            ladder = family()
    assert all(n == 1 for n in sender.out.values())
    for contact in (A, B):
        outcome = told[contact.name, ToldWhat.ALARM].outcome
        assert outcome is not TellOutcome.SENT or sender.out[contact.phone, False] == 1
        assert outcome is not TellOutcome.FAILED
        assert (contact.name, ToldWhat.STAND_DOWN) in told
    assert ladder.tellings.cases == {}


async def test_a_silent_modem_is_a_fault_before_an_alarm_needs_it(tmp_path: Path) -> None:
    """Without any channel supervision has something to report, and nothing once one is back."""

    class Away(_Sender):
        away = True

        async def prepare(self) -> None:
            if self.away:
                raise UnreadyError(Unready.SIM_PIN_REQUIRED, "PIN")

    async def nobody(_alarm_id: str, _told: Told) -> None:
        raise AssertionError("nothing is sent here")

    clock, sender = _Time(), Away(random.Random(1))
    ladder = Family(senders=(sender,), contacts=(A,), after_s=60.0, home="g", folder=tmp_path, clock=clock,
                    on_told=nobody)  # fmt: skip
    assert ladder.faults() == set()
    await ladder.round()
    assert ladder.faults() == {Fault.FALLBACK_SMS}
    sender.away = False
    clock.seconds += 61
    await ladder.round()
    assert ladder.faults() == set()


async def test_a_full_disk_does_not_keep_the_family_from_being_told(tmp_path: Path) -> None:
    """The state cannot be written, the message leaves."""
    sender = _Sender(random.Random(1))
    sender.rng.random = lambda: 1.0  # type: ignore[method-assign]
    heard: asyncio.Queue[Told] = asyncio.Queue()

    async def on_told(_alarm_id: str, whom: Told) -> None:
        heard.put_nowait(whom)

    ladder = Family(senders=(sender,), contacts=(A,), after_s=0.0, home="g", folder=tmp_path / "gone", clock=_Time(),
                    on_told=on_told)  # fmt: skip
    ladder.watch(ALARM)
    await ladder.round()
    await ladder.round()
    assert (heard.get_nowait().outcome, ladder.counts["not_kept"] > 0) == (TellOutcome.SENT, True)
