"""What every detector returns: a detection with its reason, confidence and evidence; and the shape detectors have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from edge.readings import Reading, SignalFrame
from protocols.wire import AlarmKind, Evidence, Priority


@dataclass(frozen=True, slots=True)
class Detection:
    """Something that deserves an alarm. `at` is when it happened (for a fall: the impact), Unix seconds.

    `cleared=True` says that the condition (same kind and device) has ended. `reason` is a code of the form a-z0-9_.
    """

    kind: AlarmKind
    priority: Priority
    at: float
    device: str
    reason: str
    confidence: float
    evidence: tuple[Evidence, ...] = ()
    cleared: bool = False


class ReadingDetector(Protocol):
    """A detector of single values. Pure: no clock, no I/O."""

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; `now` is the gateway's time."""
        ...

    def on_tick(self, now: float) -> list[Detection]:
        """Called about once a second, for what follows from silence."""
        ...


class SignalDetector(Protocol):
    """A detector of signal frames. Pure: no clock, no I/O."""

    def on_frame(self, frame: SignalFrame) -> list[Detection]:
        """Take one frame of one device, in order."""
        ...


class Stateful(Protocol):
    """A detector whose memory survives a restart and an upgrade of the software."""

    def state(self) -> dict[str, Any]:
        """Everything it remembers, as plain JSON values with its own version under "v"; small, and cheap to take."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state of this or an older version. Raises ValueError if it is not one; then nothing changed."""
        ...
