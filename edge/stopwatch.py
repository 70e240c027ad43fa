"""How long things took, for the metrics and the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Stopwatch:
    """How often something was done and how long it took, together."""

    n: int = 0
    seconds: float = 0.0

    def took(self, seconds: float) -> None:
        """It was done once more."""
        self.n += 1
        self.seconds += seconds


@dataclass(slots=True)
class Errand:
    """One call on the spool's thread: made when it is asked for, run there, read when the asker goes on."""

    _asked: float = field(default_factory=perf_counter)
    _began: float = 0.0
    _ended: float = 0.0

    def run(self, call: Callable[[], T]) -> T:
        """Do it, on that thread."""
        self._began = perf_counter()
        try:
            return call()
        finally:
            self._ended = perf_counter()

    def seconds(self) -> float:
        """From asking until now."""
        return perf_counter() - self._asked

    def parts_ms(self) -> dict[str, float]:
        """Where the time went: until the thread was free, on flash, and until the event loop came back to it."""
        asked, began, ended, now = self._asked, self._began, self._ended, perf_counter()
        parts = {"queued_ms": began - asked, "flash_ms": ended - began, "back_ms": now - ended}
        return {name: round(1000 * seconds, 2) for name, seconds in parts.items()}
