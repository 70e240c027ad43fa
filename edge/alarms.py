"""What becomes of a detection: ask the resident, wait for cancel, help or silence, raise; as one transition table.

Theory of operation. A detection opens an alarm. Kinds that can be harmless start `pending` and the home asks; kinds
that speak for themselves start `raised`. While an alarm of a kind is open, further detections of it join it. Every
change of state is an event that must be on flash before anything else happens; speech follows. Waiting is measured on
the monotonic clock, so that a clock set back can neither stretch nor skip the question.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from edge.clock import Instant
from edge.detectors.base import Detection
from protocols.identifiers import uuid7
from protocols.wire import AlarmKind, AlarmState, Evidence, Priority

S = AlarmState


class Trigger(StrEnum):
    """What can happen to an open alarm."""

    CANCEL = "cancel"
    HELP = "help"
    SILENCE = "silence"
    WORSE = "worse"
    CONDITION_ENDS = "condition_ends"


TRANSITIONS: dict[tuple[AlarmState, Trigger], tuple[AlarmState, str]] = {
    (S.PENDING, Trigger.CANCEL): (S.CANCELLED_BY_RESIDENT, "resident_cancelled"),
    (S.PENDING, Trigger.HELP): (S.RAISED, "resident_asked_for_help"),
    (S.PENDING, Trigger.SILENCE): (S.RAISED, "no_answer"),
    (S.PENDING, Trigger.WORSE): (S.RAISED, "condition_worse"),
    (S.PENDING, Trigger.CONDITION_ENDS): (S.CLEARED, "condition_ended"),
    (S.RAISED, Trigger.CANCEL): (S.CANCELLED_BY_RESIDENT, "resident_cancelled"),
    (S.RAISED, Trigger.HELP): (S.ESCALATED, "resident_asked_for_help"),
    (S.RAISED, Trigger.WORSE): (S.ESCALATED, "condition_worse"),
    (S.RAISED, Trigger.CONDITION_ENDS): (S.CLEARED, "condition_ended"),
    (S.ESCALATED, Trigger.CANCEL): (S.CANCELLED_BY_RESIDENT, "resident_cancelled"),
    (S.ESCALATED, Trigger.CONDITION_ENDS): (S.CLEARED, "condition_ended"),
}
"""(state, trigger) → (next state, reason); a pair that is not here changes nothing."""

NOT_CANCELLABLE = frozenset({AlarmKind.SMOKE, AlarmKind.GAS, AlarmKind.CO})
"""A button in the home does not end these: the danger is there whether or not somebody presses it."""

ENDED = frozenset({S.CANCELLED_BY_RESIDENT, S.CLEARED})
_RANK = {Priority.LOW: 0, Priority.MEDIUM: 1, Priority.HIGH: 2}
_ROOM_KNOWN_S = 900.0
"""How long the last room with motion is taken for where the wearer is."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One open alarm. `deadline` is monotonic; `decide_by` is the same moment in Unix seconds, as told to the cloud."""

    alarm_id: str
    kind: AlarmKind
    priority: Priority
    state: AlarmState
    at: float
    changed_at: float
    reason: str
    device: str
    room: str | None = None
    evidence: tuple[Evidence, ...] = ()
    decide_by: float | None = None
    deadline: float | None = None
    repeat_at: float | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """The alarm is in a new state: put it on flash, then send it."""

    alarm: Alarm


@dataclass(frozen=True, slots=True)
class Speak:
    """Say a phrase in the home; `alarm_id` is what it is about."""

    phrase: str
    alarm_id: str
    loud: bool = False
    siren: bool = False


Effect = Changed | Speak


class Alarms:
    """All open alarms of the home. Values in, effects out, in the order in which they must happen."""

    def __init__(
        self,
        rooms: dict[str, str | None],
        ask: frozenset[AlarmKind],
        question_s: float,
        rng: random.Random,
        merge_s: float = 60.0,
        limit: int = 64,
    ) -> None:
        self._rooms = rooms
        self._ask = ask
        self._question_s = question_s
        self._rng = rng
        self._merge_s = merge_s
        self._limit = limit
        self._open: dict[str, Alarm] = {}
        self._ended: dict[tuple[AlarmKind, str], float] = {}
        self._moved: tuple[str, float] | None = None
        self.counts: Counter[str] = Counter()

    @property
    def open(self) -> tuple[Alarm, ...]:
        """Alarms that have not ended, oldest first."""
        return tuple(self._open.values())

    def moved(self, device: str, now: Instant) -> None:
        """A motion sensor has seen somebody: what is worn happens in its room."""
        room = self._rooms.get(device)
        if room is not None:
            self._moved = (room, now.mono)

    def _room(self, device: str, now: Instant) -> str | None:
        room = self._rooms.get(device)
        if room is not None or self._moved is None:
            return room
        return self._moved[0] if now.mono - self._moved[1] < _ROOM_KNOWN_S else None

    def restore(self, alarms: Iterable[Alarm], now: Instant) -> list[Effect]:
        """Take up the alarms of the last run; a question that was open goes on with the time it had left."""
        effects: list[Effect] = []
        for alarm in alarms:
            if alarm.state is S.PENDING and alarm.decide_by is not None:
                left = min(max(alarm.decide_by - now.wall, 0.0), self._question_s)
                alarm = replace(alarm, deadline=now.mono + left, repeat_at=None)
                effects.append(Speak("are_you_ok_again", alarm.alarm_id, loud=True))
            self._open[alarm.alarm_id] = alarm
        return effects

    def detect(self, detection: Detection, now: Instant) -> list[Effect]:
        """Open an alarm, join an open one, or note that a condition ended."""
        same = [a for a in self._open.values() if a.kind is detection.kind]
        if detection.cleared:
            of_device = [a for a in same if a.device == detection.device or a.kind is AlarmKind.VITALS]
            return [e for a in of_device for e in self._fire(a, Trigger.CONDITION_ENDS, now)]
        if same:
            return self._join(same[-1], detection, now)
        ended = self._ended.get((detection.kind, detection.device))
        if ended is not None and now.mono - ended < self._merge_s and detection.kind in self._ask:
            self.counts["repeated"] += 1
            return []
        effects: list[Effect] = []
        if detection.kind is AlarmKind.SOS:
            for alarm in [a for a in self._open.values() if a.state is S.PENDING]:
                effects += self._fire(alarm, Trigger.HELP, now)
        return effects + self._begin(detection, now)

    def press(self, button: str, now: Instant) -> list[Effect]:
        """The resident pressed "cancel" or "help" on any button of the home."""
        trigger = {"cancel": Trigger.CANCEL, "help": Trigger.HELP}.get(button)
        if trigger is None:
            self.counts["unknown_button"] += 1
            return []
        effects: list[Effect] = []
        for alarm in list(self._open.values()):
            if trigger is Trigger.CANCEL and alarm.kind in NOT_CANCELLABLE:
                self.counts["not_cancellable"] += 1
                continue
            effects += self._fire(alarm, trigger, now)
        if trigger is Trigger.HELP and not self._open:
            evidence = Evidence(detector="button", device="button", at=now.wall, reason="resident_asked_for_help")
            effects += self._begin(
                Detection(AlarmKind.SOS, Priority.HIGH, now.wall, "button", evidence.reason, 1.0, (evidence,)), now
            )
        return effects

    def tick(self, now: Instant) -> list[Effect]:
        """Raise what nobody answered; ask louder at half time."""
        effects: list[Effect] = []
        for alarm in list(self._open.values()):
            if alarm.state is not S.PENDING or alarm.deadline is None:
                continue
            if now.mono >= alarm.deadline:
                effects += self._fire(alarm, Trigger.SILENCE, now)
            elif alarm.repeat_at is not None and now.mono >= alarm.repeat_at:
                self._open[alarm.alarm_id] = replace(alarm, repeat_at=None)
                effects.append(Speak("are_you_ok_again", alarm.alarm_id, loud=True))
        return effects

    def test(self, now: Instant) -> list[Effect]:
        """Raise a test alarm, to prove the chain."""
        detection = Detection(AlarmKind.TECHNICAL, Priority.LOW, now.wall, "gateway", "test", 1.0)
        effects = self._begin(detection, now)
        return [*effects, Speak("test", self.open[-1].alarm_id)] if effects else []

    def stand_down(self) -> list[str]:
        """The cloud has closed the home's incident: forget raised alarms (never an open question); returns their
        ids.
        """
        closed = [a.alarm_id for a in self._open.values() if a.state is not S.PENDING]
        for alarm_id in closed:
            del self._open[alarm_id]
        return closed

    def _begin(self, detection: Detection, now: Instant) -> list[Effect]:
        if len(self._open) >= self._limit:
            self.counts["too_many_open"] += 1
            return []
        asking = detection.kind in self._ask and self._question_s > 0
        alarm = Alarm(
            alarm_id=uuid7(now.wall, self._rng),
            kind=detection.kind,
            priority=detection.priority,
            state=S.PENDING if asking else S.RAISED,
            at=detection.at,
            changed_at=now.wall,
            reason=detection.reason,
            device=detection.device,
            room=self._room(detection.device, now),
            evidence=detection.evidence,
            decide_by=now.wall + self._question_s if asking else None,
            deadline=now.mono + self._question_s if asking else None,
            repeat_at=now.mono + self._question_s / 2 if asking else None,
        )
        self._open[alarm.alarm_id] = alarm
        return [Changed(alarm), *self._speech(alarm)]

    def _join(self, alarm: Alarm, detection: Detection, now: Instant) -> list[Effect]:
        if _RANK[detection.priority] > _RANK[alarm.priority]:
            worse = replace(alarm, priority=detection.priority, evidence=(*alarm.evidence, *detection.evidence)[-8:])
            self._open[alarm.alarm_id] = worse
            return self._fire(worse, Trigger.WORSE, now)
        self.counts["merged"] += 1
        return []

    def _fire(self, alarm: Alarm, trigger: Trigger, now: Instant) -> list[Effect]:
        found = TRANSITIONS.get((alarm.state, trigger))
        if found is None:
            return []
        state, reason = found
        changed = replace(alarm, state=state, reason=reason, changed_at=now.wall, deadline=None, repeat_at=None)
        if state in ENDED:
            del self._open[alarm.alarm_id]
            self._ended[(alarm.kind, alarm.device)] = now.mono
        else:
            self._open[alarm.alarm_id] = changed
        return [Changed(changed), *self._speech(changed)]

    @staticmethod
    def _speech(alarm: Alarm) -> list[Effect]:
        if alarm.kind is AlarmKind.TECHNICAL:
            return []
        if alarm.state is S.PENDING:
            return [Speak("are_you_ok", alarm.alarm_id)]
        if alarm.kind is AlarmKind.SMOKE and alarm.state is S.RAISED:
            return [Speak("smoke_siren", alarm.alarm_id, loud=True, siren=True)]
        if alarm.state in (S.RAISED, S.ESCALATED):
            return [Speak("alarm_raised", alarm.alarm_id)]
        return [Speak("cancelled", alarm.alarm_id)] if alarm.state is S.CANCELLED_BY_RESIDENT else []
