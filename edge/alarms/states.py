"""The life of an alarm as one transition table, and the values that go in and out of it.

Theory of operation. A detection opens an alarm. Kinds that can be harmless start `pending` and the home asks; kinds
that speak for themselves start `raised`. A detection about the same moment as an open alarm joins it
(edge.alarms.moments), any other opens an alarm of its own. Every
change of state is an event that must be on flash before anything else happens; speech follows. Waiting is measured on
the monotonic clock, so that a clock set back can neither stretch nor skip the question.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge.alarms.ladder import Loudness
from protocols.wire import AlarmKind, AlarmState, Evidence, Position, Priority, Told

S = AlarmState


class Trigger(StrEnum):
    """What can happen to an open alarm."""

    CANCEL = "cancel"
    HELP = "help"
    SILENCE = "silence"
    MOVEMENT = "movement"
    WORSE = "worse"
    CONDITION_ENDS = "condition_ends"


TRANSITIONS: dict[tuple[AlarmState, Trigger], tuple[AlarmState, str]] = {
    (S.PENDING, Trigger.CANCEL): (S.CANCELLED_BY_RESIDENT, "resident_cancelled"),
    (S.PENDING, Trigger.HELP): (S.RAISED, "resident_asked_for_help"),
    (S.PENDING, Trigger.SILENCE): (S.RAISED, "no_answer"),
    (S.PENDING, Trigger.MOVEMENT): (S.CLEARED, "movement_seen"),
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

SILENT = frozenset({AlarmKind.TECHNICAL, AlarmKind.UNUSUAL})
"""The resident hears nothing of these, so no button answers them and the family is not rung."""

NOT_CANCELLABLE = SILENT | {AlarmKind.SMOKE, AlarmKind.GAS, AlarmKind.CO}
"""A button in the home does not end these: the danger is there whether or not somebody presses it."""

ENDED = frozenset({S.CANCELLED_BY_RESIDENT, S.CLEARED})
RANK = {Priority.LOW: 0, Priority.MEDIUM: 1, Priority.HIGH: 2}


@dataclass(frozen=True, slots=True)
class Alarm:
    """One open alarm. `deadline` is monotonic; `decide_by` is the same moment in Unix seconds, as told to the cloud.

    `cause` is the first detection's reason, `sources` are the devices on which the condition still holds, `step` is
    how much of the ladder has been asked, `told` whom the home itself has told.
    """

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
    cause: str = ""
    sources: tuple[str, ...] = ()
    step: int = 0
    told: tuple[Told, ...] = ()
    position: Position | None = None
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Changed:
    """The alarm is in a new state, or more is known of it: put it on flash, then send it."""

    alarm: Alarm


@dataclass(frozen=True, slots=True)
class Speak:
    """Say a phrase in the home; `alarm_id` is what it is about. With `ends`, lamps and sirens go off."""

    phrase: str
    alarm_id: str
    loudness: Loudness = Loudness.NORMAL
    ends: bool = False


Effect = Changed | Speak
