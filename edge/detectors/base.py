"""What every detector returns: a detection with its reason, confidence and evidence; and the shape detectors have."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from edge.readings import Reading, SignalFrame
from protocols.wire import AlarmKind, Evidence, Position, Priority


@dataclass(frozen=True, slots=True)
class Detection:
    """Something that deserves an alarm. `at` is when it happened (for a fall: the impact), Unix seconds.

    `cleared=True` says that the condition (same kind and device) has ended. `reason` is a code of the form a-z0-9_.
    `position` is where, if it is known.
    """

    kind: AlarmKind
    priority: Priority
    at: float
    device: str
    reason: str
    confidence: float
    evidence: tuple[Evidence, ...] = ()
    cleared: bool = False
    position: Position | None = None


@runtime_checkable
class TakesReadings(Protocol):
    """A detector of single values. Pure: no clock, no I/O."""

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; `now` is the gateway's time."""
        ...


@runtime_checkable
class TakesTime(Protocol):
    """A detector that concludes something from silence."""

    def on_tick(self, now: float) -> list[Detection]:
        """Called several times a second; `now` is the gateway's time."""
        ...


@runtime_checkable
class TakesFrames(Protocol):
    """A detector of signal frames. Pure: no clock, no I/O."""

    def on_frame(self, frame: SignalFrame) -> list[Detection]:
        """Take one frame of one device, in order."""
        ...


class ReadingDetector(TakesReadings, TakesTime, Protocol):
    """A detector of single values that also looks at the time."""


SignalDetector = TakesFrames
Detector = TakesReadings | TakesFrames | TakesTime
"""What the facade hosts: anything that takes readings, frames or time, in any combination."""


@runtime_checkable
class Stateful(Protocol):
    """A detector whose memory survives a restart and an upgrade of the software."""

    def state(self) -> dict[str, Any]:
        """Everything it remembers, as plain JSON values with its own version under "v"; small, and cheap to take."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state of this or an older version. Raises ValueError if it is not one; then nothing changed."""
        ...


@runtime_checkable
class Urgent(Stateful, Protocol):
    """A detector that at times knows something that a power cut must not cost it."""

    def urgent(self) -> int | None:
        """A number while it knows such a thing, another one for another thing; None when all is judged. Cheap."""
        ...


@runtime_checkable
class Counts(Protocol):
    """A detector that counts what it looked at and left out."""

    counts: Counter[str]
