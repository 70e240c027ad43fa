"""Whom the home tells of an alarm that the cloud does not take, when, and what became of it.

Theory of operation. A raised alarm that the cloud has not acknowledged for `after_s` is told to the contacts, each at
its own delay. Before a message leaves, its step is written to flash as begun; afterwards its outcome. A step found
begun after a restart may or may not have gone out: it is reported as unknown and never repeated, and the ladder goes
on with the next contact. A definite failure is tried again, ever more slowly, while nobody has the alarm. Whoever was
told (or may have been) hears once that it is over. Waiting is measured on the monotonic clock; a restart goes on from
the wall clock, which never runs backwards over a restart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from edge.alarms import ENDED, Alarm
from edge.clock import Instant
from edge.fallback.contacts import Contact
from protocols.wire import AlarmState, TellOutcome, Told, ToldWhat

log = structlog.get_logger()

RETRY_S = (2.0, 5.0, 15.0, 30.0, 60.0)
"""Pauses after definite failures; when they are used up the failure is reported."""
SLOW_RETRY_S = 300.0
MOST_OPEN = 64
_RAISED = (AlarmState.RAISED, AlarmState.ESCALATED)
_LONGEST_S = 7 * 86_400.0
"""An alarm older than this at the start is told no more."""


class Step(msgspec.Struct):
    """One contact and one message. `began` (Unix seconds): it is on its way; `at`: when its outcome was known."""

    contact: Contact
    what: ToldWhat = ToldWhat.ALARM
    began: float | None = None
    channel: str = ""
    failures: int = 0
    outcome: TellOutcome | None = None
    at: float = 0.0
    reported: bool = False

    @property
    def reached(self) -> bool:
        """Whether the contact has the message, or may have it."""
        return self.outcome in (TellOutcome.SENT, TellOutcome.UNKNOWN)


class Case(msgspec.Struct):
    """One alarm on the ladder. `taken`: the cloud has it; `ended`: it is over."""

    alarm: Alarm
    since: float
    taken: bool = False
    ended: bool = False
    steps: list[Step] = msgspec.field(default_factory=list)


class Kept(msgspec.Struct):
    """The whole file."""

    cases: list[Case] = msgspec.field(default_factory=list)


@dataclass(slots=True)
class Tellings:
    """All cases; `since` and `again` are monotonic and live in memory only. Pure but for `load` and `save`."""

    after_s: float
    contacts: tuple[Contact, ...]
    cases: dict[str, Case] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    again: dict[tuple[str, str, ToldWhat], float] = field(default_factory=dict)
    dirty: bool = False

    def watch(self, alarm: Alarm, now: Instant) -> None:
        """An alarm has a new state, which the cloud does not have yet."""
        case = self.cases.get(alarm.alarm_id)
        if alarm.state in ENDED:
            if case is not None:
                case.alarm = alarm
                self._end(case, now)
            return
        if alarm.state not in _RAISED:
            return
        if case is None:
            if len(self.cases) >= MOST_OPEN and not self._make_room():
                log.error("fallback_too_many_alarms", alarm_id=alarm.alarm_id)
                return
            case = self.cases[alarm.alarm_id] = Case(alarm, now.wall)
            self.since[alarm.alarm_id] = now.mono
        elif case.taken:
            case.taken, case.since = False, now.wall
            self.since[alarm.alarm_id] = now.mono
        case.alarm = alarm
        self.dirty = True

    def taken(self, alarm_ids: Iterable[str]) -> None:
        """The cloud has these: nobody further is told; those who were still hear when it is over."""
        for alarm_id in alarm_ids:
            case = self.cases.get(alarm_id)
            if case is not None and not case.taken:
                case.taken = self.dirty = True
                self._drop_finished()

    def stood_down(self, alarm_ids: Iterable[str], now: Instant) -> None:
        """The cloud has closed these."""
        for alarm_id in alarm_ids:
            if (case := self.cases.get(alarm_id)) is not None:
                self._end(case, now)

    def due(self, now: Instant) -> list[tuple[Case, Step]]:
        """What is to be sent now, those that failed least often first."""
        found: list[tuple[Case, Step]] = []
        for case in self.cases.values():
            if not case.taken and not case.ended:
                waited = now.mono - self.since[case.alarm.alarm_id] - self.after_s
                known = {step.contact.phone for step in case.steps}
                late = [c for c in self.contacts if c.phone not in known and waited >= c.after_s]
                case.steps += [Step(contact) for contact in late]
                self.dirty = self.dirty or bool(late)
            found += [(case, step) for step in case.steps if self._is_due(case, step, now)]
        return sorted(found, key=lambda pair: (pair[1].failures, pair[1].contact.after_s))

    def still_due(self, case: Case, step: Step) -> bool:
        """Whether the message is still to be sent: things happen while a modem is asked whether it could."""
        if step.reached:
            return False
        if step.what is ToldWhat.STAND_DOWN:
            return step.outcome is None
        return not case.taken and not case.ended

    def _is_due(self, case: Case, step: Step, now: Instant) -> bool:
        if step.began is not None or not self.still_due(case, step):
            return False
        return now.mono >= self.again.get((case.alarm.alarm_id, step.contact.phone, step.what), now.mono)

    def begin(self, step: Step, channel: str, now: Instant) -> None:
        """The message leaves next; `save` before it does."""
        step.began, step.channel, self.dirty = now.wall, channel, True

    def not_sent(self, step: Step) -> None:
        """The channel says that nothing left; another is tried."""
        step.began, self.dirty = None, True

    def finish(self, case: Case, step: Step, outcome: TellOutcome, now: Instant) -> None:
        """What became of it. The first failures are silent; the one after the last short pause is reported."""
        step.began, self.dirty = None, True
        if outcome is not TellOutcome.FAILED:
            step.outcome, step.at, step.reported = outcome, now.wall, False
            self._drop_finished()
            return
        pause_s = RETRY_S[step.failures] if step.failures < len(RETRY_S) else SLOW_RETRY_S
        self.again[case.alarm.alarm_id, step.contact.phone, step.what] = now.mono + pause_s
        if case.ended and step.what is ToldWhat.ALARM:
            case.steps = [s for s in case.steps if s.contact != step.contact or s.what is ToldWhat.ALARM]
        if step.failures == len(RETRY_S):
            step.outcome, step.at, step.reported = TellOutcome.FAILED, now.wall, False
        step.failures += 1
        self._drop_finished()

    def unreported(self) -> list[tuple[Case, Step]]:
        """Outcomes that are not in an event of the alarm yet."""
        return [(c, s) for c in self.cases.values() for s in c.steps if s.outcome is not None and not s.reported]

    def reported(self, step: Step) -> None:
        """An event with this outcome is on flash."""
        step.reported = self.dirty = True
        self._drop_finished()

    def _make_room(self) -> bool:
        """Forget the oldest alarm that the cloud has."""
        oldest = next((alarm_id for alarm_id, case in self.cases.items() if case.taken), None)
        if oldest is not None:
            self._forget(oldest)
        return oldest is not None

    def _forget(self, alarm_id: str) -> None:
        del self.cases[alarm_id], self.since[alarm_id]
        self.again = {key: at for key, at in self.again.items() if key[0] != alarm_id}
        self.dirty = True

    def _end(self, case: Case, now: Instant) -> None:
        if case.ended:
            return
        case.ended = self.dirty = True
        case.steps += [Step(s.contact, ToldWhat.STAND_DOWN) for s in case.steps if s.reached or s.began is not None]
        self._drop_finished()

    def _drop_finished(self) -> None:
        """An alarm that is over, or that the cloud has and nobody was told of, with nothing left to send or report."""
        for alarm_id, case in list(self.cases.items()):
            done = all(s.outcome is not None and s.reported for s in case.steps if _matters(case, s))
            told = any(s.reached or s.began is not None for s in case.steps)
            if done and (case.ended or (case.taken and not told)):
                self._forget(alarm_id)

    def load(self, path: Path, now: Instant) -> None:
        """Take up the last run; what was on its way when it ended has an unknown outcome."""
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            log.critical("fallback_state_unreadable", file=str(path), error=str(error))
            return
        for case in kept.cases:
            waited = now.wall - case.since
            if waited > _LONGEST_S:
                log.warning("fallback_case_too_old", alarm_id=case.alarm.alarm_id, waited_s=waited)
                continue
            self.cases[case.alarm.alarm_id] = case
            self.since[case.alarm.alarm_id] = now.mono - max(0.0, waited)
            for step in case.steps:
                if step.began is not None:
                    step.outcome, step.at, step.reported = TellOutcome.UNKNOWN, step.began, False
                    step.began = None
        self.dirty = True

    def body(self) -> bytes:
        """The file's content."""
        return msgspec.json.encode(Kept(list(self.cases.values())))


def _matters(case: Case, step: Step) -> bool:
    """A step that never left is nobody's concern once the alarm is over or taken."""
    return step.what is ToldWhat.STAND_DOWN or step.outcome is not None or step.began is not None


def told_of(step: Step) -> Told:
    """The step as the cloud hears of it."""
    outcome = step.outcome or TellOutcome.UNKNOWN
    return Told(step.contact.name, step.channel or "none", step.at, outcome, step.what)
