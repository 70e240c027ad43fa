"""Telemetry: batches of readings."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from protocols.senml import Record, check_must_understand
from protocols.wire.base import MAX_RECORDS, Clock, Epoch, Frozen, Sequence, Time, Version, decode


class TelemetryBatch(Frozen, frozen=True):
    """A SenML pack with its place in the gateway's sequence (`anju/v1/{gateway}/up/telemetry`)."""

    v: Version
    epoch: Epoch
    lane: Literal["live", "backlog"]
    seq: Sequence
    clock: Clock
    sent: Time
    records: Annotated[list[Record], Meta(min_length=1, max_length=MAX_RECORDS)]


_telemetry = msgspec.json.Decoder(TelemetryBatch)


def decode_telemetry(data: bytes) -> TelemetryBatch:
    """Decode and check one telemetry batch; raises ProtocolError and nothing else, on any bytes."""
    batch = decode(_telemetry, data, "telemetry")
    check_must_understand(data, "telemetry")
    return batch
