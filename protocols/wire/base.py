"""What all messages share: names, numbers and times with their bounds, and reading without surprises."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from protocols.errors import ProtocolError, Reason

VERSION: Final = 1


MAX_MESSAGE_BYTES: Final = 64 * 1024


MAX_RECORDS: Final = 1_000


MAX_EXCERPT_SAMPLES: Final = 600


MAX_EVIDENCE: Final = 8


MAX_TOLD: Final = 32


MAX_STOOD_DOWN: Final = 64


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


class Frozen(Struct, frozen=True, omit_defaults=True):
    """Base of all wire values."""


_encoder = msgspec.json.Encoder()


encode = _encoder.encode


"""Encode any message of this module as JSON bytes."""


M = TypeVar("M")


def decode(decoder: msgspec.json.Decoder[M], data: bytes, where: str) -> M:
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
