"""How long things took, for the metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Stopwatch:
    """How often something was done and how long it took, together."""

    n: int = 0
    seconds: float = 0.0

    def took(self, seconds: float) -> None:
        """It was done once more."""
        self.n += 1
        self.seconds += seconds
