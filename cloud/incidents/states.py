"""The life of an incident as one table; whatever is not in it is refused."""

from __future__ import annotations

from enum import StrEnum

from protocols.wire import AlarmState

ALARM_ENDED = frozenset({AlarmState.CANCELLED_BY_RESIDENT, AlarmState.CLEARED})
"""States in which an alarm goes on no more."""


class State(StrEnum):
    """Where an incident stands."""

    NEW = "new"
    CLAIMED = "claimed"
    DISPATCHED = "dispatched"
    ON_SCENE = "on_scene"
    RESOLVED = "resolved"
    CLOSED = "closed"


class Step(StrEnum):
    """What can happen to an incident."""

    CLAIM = "claim"
    RELEASE = "release"
    LEASE_EXPIRES = "lease_expires"
    TAKEOVER = "takeover"
    DISPATCH = "dispatch"
    ALL_DECLINED = "all_declined"
    ARRIVE = "arrive"
    RESOLVE = "resolve"
    RECUR = "recur"
    CLEAR = "clear"
    CLOSE = "close"


class Outcome(StrEnum):
    """How an incident ended."""

    REAL_FALL = "real_fall"
    REAL_EMERGENCY = "real_emergency"
    FALSE_ALARM = "false_alarm"
    TEST = "test"
    CANCELLED_BY_RESIDENT = "cancelled_by_resident"
    TECHNICAL_FIXED = "technical_fixed"
    OTHER = "other"


_S, _T = State, Step
_ACTIVE = (_S.DISPATCHED, _S.ON_SCENE, _S.RESOLVED)

TRANSITIONS: dict[tuple[State, Step], State] = {
    (_S.NEW, _T.CLAIM): _S.CLAIMED,
    (_S.CLAIMED, _T.CLAIM): _S.CLAIMED,
    **{(s, _T.CLAIM): s for s in _ACTIVE},
    (_S.CLAIMED, _T.RELEASE): _S.NEW,
    (_S.CLAIMED, _T.LEASE_EXPIRES): _S.NEW,
    **{(s, _T.LEASE_EXPIRES): s for s in _ACTIVE},
    **{(s, _T.TAKEOVER): s for s in (_S.CLAIMED, *_ACTIVE)},
    (_S.CLAIMED, _T.DISPATCH): _S.DISPATCHED,
    (_S.DISPATCHED, _T.DISPATCH): _S.DISPATCHED,
    (_S.ON_SCENE, _T.DISPATCH): _S.ON_SCENE,
    (_S.DISPATCHED, _T.ALL_DECLINED): _S.CLAIMED,
    (_S.DISPATCHED, _T.ARRIVE): _S.ON_SCENE,
    (_S.ON_SCENE, _T.ARRIVE): _S.ON_SCENE,
    **{(s, _T.RESOLVE): _S.RESOLVED for s in (_S.CLAIMED, _S.DISPATCHED, _S.ON_SCENE)},
    (_S.RESOLVED, _T.RECUR): _S.CLAIMED,
    (_S.NEW, _T.CLEAR): _S.CLOSED,
    **{(s, _T.CLOSE): _S.CLOSED for s in (_S.CLAIMED, *_ACTIVE)},
}
"""(state, step) → next state. A state that needs an owner and has none is entered as `new` (see `unowned`)."""


def unowned(state: State) -> State:
    """The state of an incident that nobody holds: one that only an owner gives is `new` again."""
    return _S.NEW if state is _S.CLAIMED else state
