"""Wall time that is counted by a clock which never steps: when it follows the system's clock, and when it does not.

Theory of operation. `boot` is CLOCK_BOOTTIME: it counts suspends and nobody can set it. Wall time is `base + boot`.
Before the first synchronisation `base` is a guess that is never below the floor. With the first one it takes the
true value: readings stamped until then can be moved by the difference. From then on a small difference (a leap second,
NTP's own corrections) is walked off at 5 % of the passing time, so that stamps never run backwards; a large one (a
step) is believed only after it has stood, synchronised, for `CONFIRM_S`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from protocols.wire import Clock

SLEW_BELOW_S = 2.0
SLEW_RATE = 0.05
CONFIRM_S = 30.0
HOLDOVER_S = 86_400.0
"""A crystal of 50 ppm is wrong by 4 s after a day without correction; then the mark goes."""


@dataclass(frozen=True, slots=True)
class Observed:
    """The machine's clocks at one moment: Unix seconds, seconds since boot, whether NTP disciplines the first."""

    wall: float
    boot: float
    synced: bool


class Step(StrEnum):
    """What one observation did to the base."""

    NONE = "none"
    FIRST_SYNC = "first_sync"
    SLEWED = "slewed"
    DOUBTED = "doubted"
    STEPPED = "stepped"


class Timeline:
    """The state between two observations; pure. `known` is whether the time was ever synchronised in this run."""

    def __init__(self, floor: float, first: Observed) -> None:
        self.base = max(floor, first.wall) - first.boot
        self.known = False
        self.steps = 0
        self._seen_at = first.boot
        self._confirmed_at = first.boot
        self._doubt: tuple[float, float] | None = None
        self.observe(first)

    def wall(self, boot: float) -> float:
        """Unix seconds at `boot`."""
        return self.base + boot

    def state(self, boot: float) -> Clock:
        """The quality mark of a stamp taken now."""
        return Clock.SYNCED if self.known and boot - self._confirmed_at < HOLDOVER_S else Clock.UNSYNCED

    def observe(self, now: Observed) -> Step:
        """Take notice of the machine's clocks; call about once a second."""
        elapsed, self._seen_at = max(0.0, now.boot - self._seen_at), now.boot
        if not now.synced:
            self._doubt = None
            return Step.NONE
        target = now.wall - now.boot
        if not self.known:
            self.base, self.known, self._confirmed_at = target, True, now.boot
            return Step.FIRST_SYNC
        off = target - self.base
        if abs(off) < SLEW_BELOW_S:
            self._doubt, self._confirmed_at = None, now.boot
            most = SLEW_RATE * elapsed
            self.base += min(max(off, -most), most)
            return Step.SLEWED if off else Step.NONE
        return self._doubted(target, now.boot)

    def _doubted(self, target: float, boot: float) -> Step:
        if self._doubt is None or abs(self._doubt[0] - target) > SLEW_BELOW_S:
            self._doubt = target, boot
        if boot - self._doubt[1] < CONFIRM_S:
            return Step.DOUBTED
        self.base, self._doubt, self._confirmed_at = target, None, boot
        self.steps += 1
        return Step.STEPPED
