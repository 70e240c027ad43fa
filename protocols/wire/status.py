"""Statuses: birth, heartbeat and will of a gateway."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from protocols.wire.base import Clock, Code, Epoch, Frozen, Lane, Name, Time, Version, decode


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


_status = msgspec.json.Decoder(Status)


def decode_status(data: bytes) -> Status:
    """Decode and check a status; raises ProtocolError and nothing else, on any bytes."""
    return decode(_status, data, "status")
