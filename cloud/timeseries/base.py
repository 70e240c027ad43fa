"""The interface of a time-series store, and the points that pass through it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from protocols.metrics import Value
from protocols.wire import Lane, SeqRange


class StoreError(Exception):
    """The store cannot take or give data (down, slow, out of space); the data may be sent to it again."""


class StoreRefusedError(StoreError):
    """The store says that these are wrong and always will be: index of the point, or of the delivery, to its words."""

    def __init__(self, points: dict[int, str], deliveries: dict[int, str] | None = None) -> None:
        self.points = points
        self.deliveries = deliveries or {}
        words = next(iter((points | self.deliveries).values()), "")
        super().__init__(f"{len(points)} points and {len(self.deliveries)} deliveries refused, first: {words}")


@dataclass(frozen=True, slots=True)
class Point:
    """All fields of one measurement of one device at one time (`at_ms`: Unix milliseconds)."""

    measurement: str
    home: str
    device: str
    at_ms: int
    fields: dict[str, Value]


class Delivery(Struct, frozen=True, gc=False):
    """The proof that a batch arrived, written with its points: measurement `delivery`."""

    home: str
    gateway: str
    epoch: str
    lane: str
    seq: int
    at_ms: int
    """The batch's own `sent` time, so that a re-sent batch overwrites its first copy."""
    count: int
    """Number of records in the batch."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The latest value of one metric of one device."""

    device: str
    metric: str
    at: float
    value: Value


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one metric of one device in time order. For a roll-up `low` and `high` hold each window's extremes."""

    device: str
    metric: str
    at: tuple[float, ...]
    values: tuple[Value, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None


class Resolution(StrEnum):
    """How densely a range is read: values as they came, or windows with their extremes."""

    RAW = "raw"
    QUARTER = "15min"
    DAY = "1d"


@dataclass(frozen=True, slots=True)
class Window:
    """One roll-up window of one metric of one device; `at_ms` is its begin. Texts and flags have no extremes."""

    home: str
    device: str
    metric: str
    at_ms: int
    count: int
    last: Value
    low: float | None = None
    high: float | None = None
    mean: float | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """One `delivery` entry as stored."""

    home: str
    gateway: str
    epoch: str
    lane: Lane
    seq: int
    at_ms: int


class TimeSeriesStore(Protocol):
    """A store; every method may raise StoreError."""

    takes_lines: bool
    """Whether `write` takes ready lines of line protocol beside points."""

    async def open(self) -> None:
        """Create what is missing (file, database, retention)."""
        ...

    async def close(self) -> None:
        """Release connections; nothing accepted is lost."""
        ...

    async def write(self, points: Sequence[Point | str], deliveries: Sequence[Delivery]) -> None:
        """Store all durably or raise; StoreRefusedError stores the others. Idempotent: same key and time overwrite."""
        ...

    async def write_windows(self, resolution: Resolution, windows: Sequence[Window]) -> None:
        """Store roll-ups; those of the same window are replaced."""
        ...

    async def windows(self, resolution: Resolution, start_ms: int, end_ms: int, homes: Sequence[str]) -> list[Window]:
        """What one window `start_ms`..`end_ms` of these homes, some hundred, holds by the next finer resolution."""
        ...

    async def drop_before(self, resolution: Resolution, before_ms: int) -> int:
        """Retention: forget what is older; returns how many values went (0 where the server does it itself)."""
        ...

    async def size_bytes(self) -> int | None:
        """How much disk the store uses; None if it cannot tell."""
        ...

    async def latest(self, home: str) -> list[Sample]:
        """Latest value of every metric of every device of one home."""
        ...

    async def latest_all(self, metric: str) -> dict[str, list[Sample]]:
        """Latest value of one metric, by home."""
        ...

    async def range(
        self,
        home: str,
        metrics: Sequence[str],
        start: float,
        end: float,
        *,
        max_points: int = 1_000,
        resolution: Resolution = Resolution.RAW,
    ) -> list[Series]:
        """Series of one home from `start` to `end`, thinned to windows with extremes past `max_points` each."""
        ...

    async def delivered(self, gateway: str, start: float, end: float) -> dict[tuple[str, Lane], list[SeqRange]]:
        """Sequences proven by the `delivery` measurement, as ranges by epoch and lane."""
        ...

    def proofs(self, start: float, end: float, home: str | None = None) -> AsyncIterator[list[Proof]]:
        """Every `delivery` entry of batches sent between `start` and `end`, of one home or all, in pieces."""
        ...

    async def clock(self) -> float | None:
        """The server's time (Unix seconds), right to a second or two; None where it is this machine's own."""
        ...

    async def check(self) -> str | None:
        """None if the store can be used, else one line that says what is wrong with it."""
        ...
