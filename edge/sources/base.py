"""What every dialect has in common: a message in, what was heard out, and what each device says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from edge.readings import Reading, SignalFrame
from protocols.errors import ProtocolError

MOST_SEEN = 256
"""Devices a dialect remembers; a flood of invented ones costs no more."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the home broker, with the Unix time it arrived and whether the gateway's clock is believed.

    `retained` says that the broker had kept it: it tells what was, not that anybody lives now.
    """

    topic: str
    payload: bytes
    arrival: float
    retained: bool = False
    clock_trusted: bool = True


@dataclass(frozen=True, slots=True)
class Heard:
    """What one message said. `alive` are configured devices that gave a sign of life by it; `online` what a broker's
    will or a bridge says of a device; `refused` the parts that were wrong while the rest was good.
    """

    readings: tuple[Reading, ...] = ()
    frames: tuple[SignalFrame, ...] = ()
    alive: frozenset[str] = frozenset()
    online: tuple[tuple[str, bool], ...] = ()
    refused: tuple[ProtocolError, ...] = ()


NOTHING = Heard()


@dataclass(frozen=True, slots=True)
class Seen:
    """A device as its dialect knows it; `metrics` are those of the registry that it offers, `id` its configured name
    (None: it is not configured, and nothing is taken from it).
    """

    source: str
    address: str
    name: str = ""
    model: str = ""
    metrics: frozenset[str] = frozenset()
    interval_s: float | None = None
    id: str | None = None


class Source(Protocol):
    """One dialect. Pure: no clock, no I/O. `read` raises ProtocolError and nothing else, on any bytes."""

    name: str

    def filters(self) -> frozenset[str]:
        """Topic filters to subscribe to; may grow as devices announce themselves."""
        ...

    def wants(self, topic: str) -> bool:
        """Whether a message on this topic is of this dialect."""
        ...

    def read(self, message: Message) -> Heard:
        """Everything one message says of configured devices."""
        ...

    def seen(self) -> Iterable[Seen]:
        """Devices heard of, configured or not."""
        ...


@runtime_checkable
class Timed(Protocol):
    """A dialect in which something also follows from time: its devices do not say that a movement is over."""

    def due(self, now: float) -> list[Reading]:
        """What has become so by Unix time `now`; each once."""
        ...
