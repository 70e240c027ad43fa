"""The gateway's two clocks: Unix time for stamps, monotonic time for waiting. The only place that reads them."""

from __future__ import annotations

import ctypes
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from protocols.wire import Clock as ClockState

_SYNCED_FLAG = Path("/run/systemd/timesync/synchronized")
EARLIEST_PLAUSIBLE = 1_767_225_600.0
"""2026-01-01: a gateway whose clock stands before its own software has no time yet."""


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks: `wall` Unix seconds, `mono` monotonic seconds."""

    wall: float
    mono: float


class Clock(Protocol):
    """What the gateway knows about time."""

    def now(self) -> Instant:
        """This moment."""
        ...

    def state(self) -> ClockState:
        """How far `wall` can be trusted."""
        ...


class SystemClock:
    """The machine's clocks. Trusted when the kernel or timesyncd says it is synchronised."""

    def now(self) -> Instant:
        """This moment."""
        return Instant(time.time(), time.monotonic())

    def state(self) -> ClockState:
        """SYNCED if NTP disciplines the clock, else UNSYNCED."""
        if time.time() < EARLIEST_PLAUSIBLE:
            return ClockState.UNSYNCED
        return ClockState.SYNCED if _SYNCED_FLAG.exists() or _kernel_synced() else ClockState.UNSYNCED


class _Timex(ctypes.Structure):
    _fields_ = (("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("rest", ctypes.c_char * 256))


def _kernel_synced() -> bool:
    """Whether adjtimex(2) reports a disciplined clock (it returns TIME_ERROR, 5, while unsynchronised)."""
    timex = _Timex()
    try:
        return bool(0 <= ctypes.CDLL(None).adjtimex(ctypes.byref(timex)) < 5)
    except (OSError, AttributeError):
        return False


def system_rng() -> random.Random:
    """A generator seeded by the operating system."""
    return random.SystemRandom()
