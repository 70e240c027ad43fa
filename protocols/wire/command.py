"""Commands to a gateway, and its replies; what a speaker says."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from protocols.wire.base import (
    MAX_STOOD_DOWN,
    AlarmId,
    Code,
    Epoch,
    Frozen,
    Lane,
    Sequence,
    Text,
    Time,
    Version,
    decode,
)


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
    alarm_ids: Annotated[tuple[AlarmId, ...], Meta(max_length=MAX_STOOD_DOWN)] = ()
    """With STOOD_DOWN: the alarms of the closed incident; of none, every alarm of the home is meant."""


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


_command: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)


_reply = msgspec.json.Decoder(Reply)


_say = msgspec.json.Decoder(Say)


def decode_command(data: bytes) -> Command:
    """Decode and check a command; raises ProtocolError and nothing else, on any bytes."""
    return decode(_command, data, "command")


def decode_reply(data: bytes) -> Reply:
    """Decode and check a reply; raises ProtocolError and nothing else, on any bytes."""
    return decode(_reply, data, "reply")


def decode_say(data: bytes) -> Say:
    """Decode and check a message to a speaker; raises ProtocolError and nothing else, on any bytes."""
    return decode(_say, data, "say")
