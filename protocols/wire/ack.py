"""Acknowledgements: what is stored for good, and what was refused."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from protocols.errors import ProtocolError, Reason
from protocols.wire.base import Epoch, Frozen, Lane, SeqRange, Sequence, Time, Version, decode


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


_ack = msgspec.json.Decoder(Ack)


def decode_ack(data: bytes) -> Ack:
    """Decode and check an acknowledgement; raises ProtocolError and nothing else, on any bytes."""
    ack = decode(_ack, data, "ack")
    for entry in ack.ranges:
        last = 0
        for first, end in entry.ranges:
            if first <= last or end < first:
                raise ProtocolError(
                    Reason.BAD_SEQUENCE, "ack.ranges", "ranges must ascend and not touch the one before"
                )
            last = end
    return ack
