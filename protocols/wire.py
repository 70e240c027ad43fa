"""Messages between gateway and cloud, version 1: frozen structs, strict JSON decoders, one encoder.

Every time is Unix seconds (UTC, float). Unknown fields are ignored, so that an older peer reads a newer one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from protocols.errors import ProtocolError, Reason
from protocols.senml import Record, check_must_understand

VERSION: Final = 1
MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_RECORDS: Final = 1_000
MAX_EXCERPT_SAMPLES: Final = 600
MAX_EVIDENCE: Final = 8
MAX_TOLD: Final = 32
LATEST_TIME: Final = 4_102_444_800.0
"""2100-01-01; a later time stamp is a defect, whatever the receiver's clock says."""

Version = Literal[1]
Name = Annotated[str, Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9][a-z0-9-]*$")]
Epoch = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$")]
Sequence = Annotated[int, Meta(ge=1, le=2**53)]
Time = Annotated[float, Meta(ge=0.0, le=LATEST_TIME)]
AlarmId = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")]
Code = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9_]+$")]
Text = Annotated[str, Meta(max_length=500)]
SeqRange = tuple[Sequence, Sequence]


class Lane(StrEnum):
    """A gateway's three sequences; alarms overtake live data, live data overtakes back-log."""

    ALARM = "alarm"
    LIVE = "live"
    BACKLOG = "backlog"


class Clock(StrEnum):
    """How far the time stamps of a message can be trusted."""

    SYNCED = "synced"
    UNSYNCED = "unsynced"
    REBASED = "rebased"


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


class Frozen(Struct, frozen=True, omit_defaults=True):
    """Base of all wire values."""


class TelemetryBatch(Frozen, frozen=True):
    """A SenML pack with its place in the gateway's sequence (`anju/v1/{gateway}/up/telemetry`)."""

    v: Version
    epoch: Epoch
    lane: Literal["live", "backlog"]
    seq: Sequence
    clock: Clock
    sent: Time
    records: Annotated[list[Record], Meta(min_length=1, max_length=MAX_RECORDS)]


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


class StatusKind(StrEnum):
    """Birth after connecting, heartbeat while connected, will left for the broker to publish."""

    BIRTH = "birth"
    HEARTBEAT = "heartbeat"
    WILL = "will"


FaultCause = Annotated[str, Meta(max_length=128, pattern=r"^[a-z0-9_]+(:[a-z0-9-]+)?$")]
"""A technical fault that is open: its reason, and the device where it is not the gateway's own (protocols.faults)."""


class SensorStatus(Frozen, frozen=True):
    """A device in the home, when it was last heard (None: never since start) and its battery in percent."""

    device: Name
    last_at: Time | None = None
    interval_s: float | None = None
    battery_percent: float | None = None


class Shed(Frozen, frozen=True):
    """What the gateway's policy has taken from its spool for one reason: `thinned`, `dropped`, `too_old`, `unreadable`.

    `first` and `last` bound the times of the readings that went (0: not known); `messages` are those that are gone
    whole.
    """

    reason: Code
    first: Time
    last: Time
    messages: int
    readings: int


class SpoolStatus(Frozen, frozen=True):
    """What waits on the gateway's flash, and what its stated policy has dropped since the epoch began."""

    depth: dict[Lane, int]
    size_bytes: int
    limit_bytes: int
    dropped: int = 0
    shed: Annotated[list[Shed], Meta(max_length=16)] = []


class Status(Frozen, frozen=True):
    """The gateway's health (`anju/v1/{gateway}/up/status`, retained)."""

    v: Version
    kind: StatusKind
    session: Annotated[str, Meta(min_length=1, max_length=64)]
    at: Time
    clock: Clock = Clock.UNSYNCED
    epoch: Epoch | None = None
    last_seq: dict[Lane, int] = {}
    spool: SpoolStatus | None = None
    disk_free_bytes: int | None = None
    battery_percent: float | None = None
    mains: bool | None = None
    versions: dict[str, str] = {}
    sensors: Annotated[list[SensorStatus], Meta(max_length=256)] = []
    faults: Annotated[list[FaultCause], Meta(max_length=256)] | None = None
    counters: Annotated[dict[str, int], Meta(max_length=64)] = {}


class AckRanges(Frozen, frozen=True):
    """Sequences of one epoch and lane that are durably stored, as inclusive ranges in ascending order."""

    epoch: Epoch
    lane: Lane
    ranges: Annotated[list[SeqRange], Meta(min_length=1, max_length=1000)]


class Rejection(Frozen, frozen=True):
    """A message put into quarantine: do not send it again."""

    epoch: Epoch
    lane: Lane
    seq: Sequence
    reason: Reason


class Ack(Frozen, frozen=True):
    """What the cloud has durably stored or refused (`anju/v1/{gateway}/down/ack`); `pace` is back-log batches a
    second.
    """

    v: Version
    at: Time
    ranges: Annotated[list[AckRanges], Meta(max_length=64)] = []
    rejected: Annotated[list[Rejection], Meta(max_length=1000)] = []
    pace: Annotated[float, Meta(gt=0.0, le=1000.0)] | None = None


class ProgressStage(StrEnum):
    """How far help has come; the home tells the resident."""

    RECEIVED = "received"
    CLAIMED = "claimed"
    DISPATCHED = "dispatched"
    ON_SCENE = "on_scene"
    STOOD_DOWN = "stood_down"


class Progress(Frozen, frozen=True, tag_field="kind", tag="progress"):
    """Tell the resident how far help has come."""

    v: Version
    id: str
    expires_at: Time
    incident_id: str
    stage: ProgressStage
    responder_role: Code | None = None
    alarm_id: AlarmId | None = None


class SendAgain(Frozen, frozen=True, tag_field="kind", tag="send_again"):
    """Send the batches of this range once more if they are still in the spool."""

    v: Version
    id: str
    expires_at: Time
    epoch: Epoch
    lane: Lane
    first: Sequence
    last: Sequence


class TestAlarm(Frozen, frozen=True, tag_field="kind", tag="test_alarm"):
    """Raise an alarm of kind technical and reason test, to prove the chain."""

    __test__ = False

    v: Version
    id: str
    expires_at: Time


class Silence(Frozen, frozen=True, tag_field="kind", tag="silence"):
    """Stop siren and speech of one alarm in the home."""

    v: Version
    id: str
    expires_at: Time
    alarm_id: AlarmId


class Configure(Frozen, frozen=True, tag_field="kind", tag="config"):
    """Run with these settings laid over the gateway's own file; a version replaces all an older one has set.

    Without an answer of the cloud within `confirm_s` the gateway goes back by itself.
    """

    v: Version
    id: str
    expires_at: Time
    version: Annotated[int, Meta(ge=1, le=2**53)]
    settings: Annotated[dict[str, Any], Meta(max_length=32)]
    confirm_s: Annotated[float, Meta(ge=1.0, le=3600.0)] = 300.0


Command = Progress | SendAgain | TestAlarm | Silence | Configure


class ReplyStatus(StrEnum):
    """What became of a command."""

    DONE = "done"
    REFUSED = "refused"
    EXPIRED = "expired"


class Reply(Frozen, frozen=True):
    """Answer to a command (`anju/v1/{gateway}/up/reply`)."""

    v: Version
    id: str
    at: Time
    status: ReplyStatus
    detail: Text = ""


class Say(Frozen, frozen=True):
    """What a speaker or lamp in the home plays (`home/v1/{device}/say`); a new `id` replaces what still plays."""

    v: Version
    id: str
    phrase: Code
    lang: Literal["zh", "en"]
    text: Text
    loudness: Literal["normal", "loud", "siren"] = "normal"
    repeat_s: float | None = None


_encoder = msgspec.json.Encoder()
encode = _encoder.encode
"""Encode any message of this module as JSON bytes."""

M = TypeVar("M")


def _decode(decoder: msgspec.json.Decoder[M], data: bytes, where: str) -> M:
    if len(data) > MAX_MESSAGE_BYTES:
        raise ProtocolError(Reason.OVERSIZED, where, f"{len(data)} bytes, at most {MAX_MESSAGE_BYTES}")
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at ")
        raise ProtocolError(_reason_of(path), f"{where}{path.strip('`').removeprefix('$')}", what) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(Reason.MALFORMED, where, str(error)) from None


def _reason_of(path: str) -> Reason:
    return Reason.WRONG_VERSION if path == "`$.v`" else Reason.MALFORMED


_telemetry = msgspec.json.Decoder(TelemetryBatch)
_alarm = msgspec.json.Decoder(AlarmEvent)
_status = msgspec.json.Decoder(Status)
_ack = msgspec.json.Decoder(Ack)
_command: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_reply = msgspec.json.Decoder(Reply)
_say = msgspec.json.Decoder(Say)


def decode_telemetry(data: bytes) -> TelemetryBatch:
    """Decode and check one telemetry batch; raises ProtocolError and nothing else, on any bytes."""
    batch = _decode(_telemetry, data, "telemetry")
    check_must_understand(data, "telemetry")
    return batch


def decode_alarm(data: bytes) -> AlarmEvent:
    """Decode and check one alarm event; raises ProtocolError and nothing else, on any bytes."""
    event = _decode(_alarm, data, "alarm")
    if event.state is AlarmState.PENDING and event.decide_by is None:
        raise ProtocolError(Reason.MALFORMED, "alarm.decide_by", "a pending alarm must say by when it is decided")
    for i, evidence in enumerate(event.evidence):
        excerpt = evidence.excerpt
        if excerpt is not None and any(len(row) != len(excerpt.channels) for row in excerpt.samples):
            raise ProtocolError(
                Reason.MALFORMED, f"alarm.evidence[{i}].excerpt.samples", f"each needs {len(excerpt.channels)} values"
            )
    return event


def decode_status(data: bytes) -> Status:
    """Decode and check a status; raises ProtocolError and nothing else, on any bytes."""
    return _decode(_status, data, "status")


def decode_ack(data: bytes) -> Ack:
    """Decode and check an acknowledgement; raises ProtocolError and nothing else, on any bytes."""
    ack = _decode(_ack, data, "ack")
    for entry in ack.ranges:
        last = 0
        for first, end in entry.ranges:
            if first <= last or end < first:
                raise ProtocolError(
                    Reason.BAD_SEQUENCE, "ack.ranges", "ranges must ascend and not touch the one before"
                )
            last = end
    return ack


def decode_command(data: bytes) -> Command:
    """Decode and check a command; raises ProtocolError and nothing else, on any bytes."""
    return _decode(_command, data, "command")


def decode_reply(data: bytes) -> Reply:
    """Decode and check a reply; raises ProtocolError and nothing else, on any bytes."""
    return _decode(_reply, data, "reply")


def decode_say(data: bytes) -> Say:
    """Decode and check a message to a speaker; raises ProtocolError and nothing else, on any bytes."""
    return _decode(_say, data, "say")
