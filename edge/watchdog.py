"""Whether the gateway truly moves: pulses of its parts; systemd's watchdog is fed only while all of them beat.

Theory of operation. Every part that must go round says so with `beat`; a part is late when it was expected and has not
beaten for its limit. While nothing is late systemd is fed; once something is, feeding stops and the process ends itself
with the part's name in the log, so that it also restarts where there is no systemd.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from edge.clock import Clock

log = structlog.get_logger()

_LOOK_S = 1.0
_SLEPT_S = 10.0
"""A gap beyond this between two looks is a suspended machine; an event loop that hangs so long is systemd's to end."""


class PartStoppedError(Exception):
    """A part of the gateway ended, failed or hangs; the process must end and be started anew."""


class Pulses:
    """When each part last moved. A limit is how many seconds it may be still."""

    def __init__(self, limits_s: Mapping[str, float], now: float) -> None:
        self._limits = dict(limits_s)
        self._beats = dict.fromkeys(limits_s, now)

    def beat(self, part: str, now: float) -> None:
        """The part has just moved."""
        self._beats[part] = max(now, self._beats[part])

    def late(self, now: float) -> dict[str, float]:
        """Parts that are still for longer than they may be, and for how many seconds."""
        return {part: now - at for part, at in self._beats.items() if now - at > self._limits[part]}

    def forgive(self, now: float) -> None:
        """The machine slept; nobody is late for that."""
        self._beats = dict.fromkeys(self._beats, now)

    def ages(self, now: float) -> dict[str, float]:
        """Seconds since each part last moved."""
        return {part: max(0.0, now - at) for part, at in self._beats.items()}


class Systemd:
    """The notification socket of sd_notify(3); without systemd every call does nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        owner = environment.get("WATCHDOG_PID", "")
        mine = owner in ("", str(os.getpid()))
        self.watchdog_s = int(environment.get("WATCHDOG_USEC", "0")) / 1e6 if mine else 0.0

    def tell(self, **fields: Any) -> None:
        """Send fields such as READY=1; a failure is logged and costs nothing else."""
        if not self._address:
            return
        text = "\n".join(f"{name}={value}" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.setblocking(False)  # systemd may be behind; the gateway must not wait for it
                out.sendto(text.encode(), self._address)
        except OSError as error:
            log.warning("systemd_not_told", fields=sorted(fields), error=str(error))


async def watch(pulses: Pulses, systemd: Systemd, clock: Clock, look: Callable[[], Awaitable[None]]) -> None:
    """Look after the pulses for ever; `look` asks the parts that do not beat by themselves. Raises PartStoppedError."""
    every_s = min(_LOOK_S, systemd.watchdog_s / 3) if systemd.watchdog_s else _LOOK_S
    looked = clock.now().mono
    while True:
        await asyncio.sleep(every_s)
        if clock.now().mono - looked > every_s + _SLEPT_S:
            pulses.forgive(clock.now().mono)
        await look()
        looked = clock.now().mono
        late = pulses.late(looked)
        if late:
            words = ", ".join(f"{part} has not moved for {still:.0f} s" for part, still in sorted(late.items()))
            raise PartStoppedError(words)
        if systemd.watchdog_s:
            systemd.tell(WATCHDOG=1)
