"""The gateway's two clocks: Unix time for stamps, monotonic time for waiting. The only place that reads them."""

from __future__ import annotations

import ctypes
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from edge.clock.kept import read_last_known, write_last_known
from edge.clock.timeline import SLEW_BELOW_S, Observed, Step, Timeline
from protocols.wire import Clock as ClockState

log = structlog.get_logger()

_SYNCED_FLAG = Path("/run/systemd/timesync/synchronized")
EARLIEST_PLAUSIBLE = 1_767_225_600.0
"""2026-01-01, before this software was built; a release raises it. A clock that stands earlier has no time yet."""

_KEEP_EVERY_S = 3_600.0
_OBSERVE_EVERY_S = 1.0


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

    def known(self) -> bool:
        """Whether the time is true enough to fix a stamp for ever; before that readings wait for it."""
        ...

    def base(self) -> float:
        """Wall time less time since boot: what stamps are made with now."""
        ...

    def floor(self) -> float | None:
        """Unix seconds that have certainly passed, for judging certificates; None: the system's clock is right."""
        ...

    def keep(self) -> Callable[[], None] | None:
        """Call about once a minute: what is to be done to keep the time on flash, on a thread that may wait for it;
        None: nothing is due.
        """
        ...


class SystemClock:
    """The machine's clocks. Trusted when the kernel or timesyncd says it is synchronised."""

    def now(self) -> Instant:
        """This moment."""
        return Instant(time.time(), time.monotonic())

    def state(self) -> ClockState:
        """SYNCED if NTP disciplines the clock, else UNSYNCED."""
        return ClockState.SYNCED if observe_machine().synced else ClockState.UNSYNCED

    def known(self) -> bool:
        """True: it takes the machine's word."""
        return True

    def base(self) -> float:
        """From the machine's clocks."""
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)

    def floor(self) -> float | None:
        """None: it takes the machine's word."""
        return None

    def keep(self) -> Callable[[], None] | None:
        """Nothing is kept."""
        return None


class KeptClock:
    """The daemon's clock: counted by CLOCK_BOOTTIME, led by the synchronised system clock, kept on flash once an hour.

    `floor` is a time that the true one cannot be before: the release of this software or the last synchronised time
    that was kept. Not thread-safe.
    """

    def __init__(self, path: Path, observe: Callable[[], Observed] | None = None) -> None:
        self._path = path
        self._observe = observe or observe_machine
        first = self._observe()
        self._kept = read_last_known(path, EARLIEST_PLAUSIBLE)
        self._started = self._seen = first.boot
        self.timeline = Timeline(self._kept, first)
        self._next_keep = first.boot

    def now(self) -> Instant:
        """This moment; `wall` never decreases except by a confirmed step, which `timeline.steps` counts."""
        boot = self._boot()
        return Instant(self.timeline.wall(boot), boot)

    def state(self) -> ClockState:
        """SYNCED from the first synchronisation on, until a day has passed without one."""
        return self.timeline.state(self._boot())

    def known(self) -> bool:
        """Whether the time was synchronised in this run; before that readings wait for it."""
        self._boot()
        return self.timeline.known

    def base(self) -> float:
        """Wall time less time since boot: what the stamps of this run were made with."""
        return self.timeline.base

    def floor(self) -> float | None:
        """The kept time and what has passed since; None while the system's clock is synchronised and not in doubt."""
        now = self._observe()
        if now.synced and abs(now.wall - self.now().wall) < SLEW_BELOW_S:
            return None
        boot = self._boot()
        return self.timeline.wall(boot) if self.timeline.known else self._kept + boot - self._started

    def keep(self) -> Callable[[], None] | None:
        """What writes the time to flash if it is synchronised and an hour has passed; a failure is logged."""
        boot = self._boot()
        if not self.timeline.known or boot < self._next_keep:
            return None
        self._next_keep = boot + _KEEP_EVERY_S
        return partial(_keep, self._path, self.timeline.wall(boot))

    def _boot(self) -> float:
        now = self._observe()
        if now.boot - self._seen >= _OBSERVE_EVERY_S or not self.timeline.known:
            self._seen = now.boot
            step = self.timeline.observe(now)
            if step in (Step.FIRST_SYNC, Step.STEPPED):
                log.warning("clock", step=step, wall=self.timeline.wall(now.boot), boot=now.boot)
        return now.boot


def _keep(path: Path, wall: float) -> None:
    try:
        write_last_known(path, wall)
    except OSError as error:
        log.warning("time_not_kept", path=str(path), error=str(error))


_last_asked: list[float | bool] = [-1.0, False]


def observe_machine() -> Observed:
    """The machine's clocks; the kernel is asked for synchronisation at most once a second."""
    boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    wall = time.time()
    if not 0 <= boot - _last_asked[0] < _OBSERVE_EVERY_S:
        _last_asked[:] = boot, _SYNCED_FLAG.exists() or _kernel_synced()
    return Observed(wall, boot, bool(_last_asked[1]) and wall >= EARLIEST_PLAUSIBLE)


class _Timex(ctypes.Structure):
    _fields_ = (("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("rest", ctypes.c_char * 256))


def _kernel_synced() -> bool:
    """Whether adjtimex(2) reports a disciplined clock (it returns TIME_ERROR, 5, while unsynchronised)."""
    timex = _Timex()
    try:
        return bool(0 <= ctypes.CDLL(None).adjtimex(ctypes.byref(timex)) < 5)
    except (OSError, AttributeError):
        return False


def boot_id() -> str:
    """Names this run of CLOCK_BOOTTIME; stamps of another cannot be compared with it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return uuid.uuid4().hex


def system_rng() -> random.Random:
    """A generator seeded by the operating system."""
    return random.SystemRandom()
