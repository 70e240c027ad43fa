"""Alarms: what happened, how sure, who was told."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from protocols.errors import ProtocolError, Reason
from protocols.wire.base import (
    MAX_EVIDENCE,
    MAX_EXCERPT_SAMPLES,
    MAX_TOLD,
    AlarmId,
    Clock,
    Code,
    Epoch,
    Frozen,
    Name,
    Sequence,
    Time,
    Version,
    decode,
)


class AlarmKind(StrEnum):
    """What happened."""

    FALL = "fall"
    SOS = "sos"
    VITALS = "vitals"
    INACTIVITY = "inactivity"
    WANDERING = "wandering"
    GEOFENCE = "geofence"
    BED_EXIT = "bed_exit"
    SMOKE = "smoke"
    GAS = "gas"
    CO = "co"
    FLOOD = "flood"
    HEAT = "heat"
    COLD = "cold"
    STOVE = "stove"
    UNUSUAL = "unusual"
    TECHNICAL = "technical"


class Priority(StrEnum):
    """IEC 60601-1-8 alarm priority."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class AlarmState(StrEnum):
    """Where an alarm stands between detection and its end."""

    PENDING = "pending"
    RAISED = "raised"
    ESCALATED = "escalated"
    CANCELLED_BY_RESIDENT = "cancelled_by_resident"
    CLEARED = "cleared"


class Position(Frozen, frozen=True):
    """A WGS-84 position; `accuracy_m` is the radius that holds the true position with 68 %."""

    lat: Annotated[float, Meta(ge=-90.0, le=90.0)]
    lon: Annotated[float, Meta(ge=-180.0, le=180.0)]
    accuracy_m: Annotated[float, Meta(ge=0.0, le=1e6)]
    at: Time | None = None


class Excerpt(Frozen, frozen=True):
    """A short piece of signal: `samples[i]` is one list of values, one per name in `channels`."""

    at: Time
    rate_hz: Annotated[float, Meta(gt=0.0, le=1000.0)]
    unit: Annotated[str, Meta(max_length=16)]
    channels: Annotated[list[Code], Meta(min_length=1, max_length=9)]
    samples: Annotated[list[list[float]], Meta(max_length=MAX_EXCERPT_SAMPLES)]


class Evidence(Frozen, frozen=True):
    """What one detector saw: its reason, named numbers and, where it helps, the signal itself."""

    detector: Code
    device: Name
    at: Time
    reason: Code
    numbers: Annotated[dict[str, float], Meta(max_length=40)] = {}
    excerpt: Excerpt | None = None


class TellOutcome(StrEnum):
    """What is known of a message the home sent by itself; `unknown`: the network never said whether it took it."""

    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"


class ToldWhat(StrEnum):
    """What the home told somebody: that there is an alarm, or that it is over."""

    ALARM = "alarm"
    STAND_DOWN = "stand_down"


class Told(Frozen, frozen=True):
    """Somebody whom the gateway told by itself while the cloud did not answer; `who` is the contact's name."""

    who: Annotated[str, Meta(min_length=1, max_length=64)]
    channel: Code
    at: Time
    outcome: TellOutcome
    what: ToldWhat = ToldWhat.ALARM


class AlarmEvent(Frozen, frozen=True):
    """What is known of one alarm (`anju/v1/{gateway}/up/alarm`): a change of state, more evidence or who was told is a
    new event with the same alarm_id.
    """

    v: Version
    alarm_id: AlarmId
    epoch: Epoch
    seq: Sequence
    kind: AlarmKind
    priority: Priority
    state: AlarmState
    at: Time
    clock: Clock
    reason: Code
    sent: Time
    changed_at: Time
    device: Name | None = None
    room: Code | None = None
    position: Position | None = None
    evidence: Annotated[list[Evidence], Meta(max_length=MAX_EVIDENCE)] = []
    decide_by: Time | None = None
    told: Annotated[list[Told], Meta(max_length=MAX_TOLD)] = []


_alarm = msgspec.json.Decoder(AlarmEvent)


def decode_alarm(data: bytes) -> AlarmEvent:
    """Decode and check one alarm event; raises ProtocolError and nothing else, on any bytes."""
    event = decode(_alarm, data, "alarm")
    if event.state is AlarmState.PENDING and event.decide_by is None:
        raise ProtocolError(Reason.MALFORMED, "alarm.decide_by", "a pending alarm must say by when it is decided")
    for i, evidence in enumerate(event.evidence):
        excerpt = evidence.excerpt
        if excerpt is not None and any(len(row) != len(excerpt.channels) for row in excerpt.samples):
            raise ProtocolError(
                Reason.MALFORMED, f"alarm.evidence[{i}].excerpt.samples", f"each needs {len(excerpt.channels)} values"
            )
    return event
