"""The interface of a time-series store, and the points that pass through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from protocols.metrics import Value
from protocols.wire import Lane, SeqRange


class StoreError(Exception):
    """The store cannot take or give data (down, slow, out of space); the data may be sent to it again."""


class StoreRefusedError(StoreError):
    """The store says that these points are wrong and always will be; `refused` maps point index to its words."""

    def __init__(self, refused: dict[int, str]) -> None:
        super().__init__(f"{len(refused)} points refused, first: {next(iter(refused.values()), '')}")
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Point:
    """All fields of one measurement of one device at one time (`at_ms`: Unix milliseconds)."""

    measurement: str
    home: str
    device: str
    at_ms: int
    fields: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Delivery:
    """The proof that a batch arrived, written with its points: measurement `delivery`."""

    home: str
    gateway: str
    epoch: str
    lane: Lane
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


class TimeSeriesStore(Protocol):
    """A store; every method may raise StoreError."""

    async def open(self) -> None:
        """Create what is missing (file, database, retention)."""
        ...

    async def close(self) -> None:
        """Release connections; nothing accepted is lost."""
        ...

    async def write(self, points: Sequence[Point], deliveries: Sequence[Delivery]) -> None:
        """Store all durably or raise; StoreRefusedError stores the others. Idempotent: same key and time overwrite."""
        ...

    async def latest(self, home: str) -> list[Sample]:
        """Latest value of every metric of every device of one home."""
        ...

    async def latest_all(self, metric: str) -> dict[str, list[Sample]]:
        """Latest value of one metric, by home."""
        ...

    async def range(
        self, home: str, metrics: Sequence[str], start: float, end: float, *, max_points: int = 1_000
    ) -> list[Series]:
        """Series of one home from `start` to `end`, thinned to windows with extremes past `max_points` each."""
        ...

    async def delivered(self, gateway: str, start: float, end: float) -> dict[tuple[str, Lane], list[SeqRange]]:
        """Sequences proven by the `delivery` measurement, as ranges by epoch and lane."""
        ...

    async def check(self) -> str | None:
        """None if the store can be used, else one line that says what is wrong with it."""
        ...
