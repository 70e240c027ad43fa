"""The gateway as a service: signals, reload in place, the configuration of the cloud, an end within its deadline."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TextIO, cast

import structlog

from edge import app
from edge.clock import Clock, KeptClock
from edge.config import ConfigError, GatewayConfig, load
from edge.footprint import settle_down
from edge.remote import STATE_NAME, RemoteConfig
from edge.spool.store import SpoolError
from edge.watchdog import PartStoppedError, Systemd
from edge.wiring import Gateway, wire

log = structlog.get_logger()

STOP_WITHIN_S = 4.5
"""After this a stop is forced; everything accepted is on flash at any moment, so nothing is lost by it."""
EXIT_BROKEN = 70
"""A part died or hangs (EX_SOFTWARE of sysexits.h)."""


class _Unfailing:
    """A stream to log to: one that takes nothing (a full disk, a reader that left) costs the line, not the gateway."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """As any stream."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        """As any stream."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def configure_logs(level: str) -> None:
    """One JSON object a line on stderr, from `level` on."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(key="ts", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Unfailing(sys.stderr))),
    )


class Daemon:
    """Runs one gateway after another: each reload closes the present one and wires the next over the same spool."""

    def __init__(self, path: Path, systemd: Systemd) -> None:
        base = load(path)
        self._systemd = systemd
        self._clock: Clock = KeptClock(base.gateway.data_dir / "last-time")
        self._halt = asyncio.Event()
        self._stopping = False
        self._exit_code = 1
        base.gateway.data_dir.mkdir(parents=True, exist_ok=True)
        self.remote = RemoteConfig(path, base.gateway.data_dir / STATE_NAME, self._clock, self.reload)
        self._config = self.remote.starting()
        self._next = self._config

    def stop(self) -> None:
        """SIGTERM: end everything, by force if it takes too long."""
        self._stopping = True
        self._systemd.tell(STOPPING=1)
        self._end_within_deadline()
        self._halt.set()

    def reload(self) -> None:
        """SIGHUP, or the cloud: read everything again; what is wrong changes nothing."""
        try:
            new = self.remote.present()
            _check_same_home(self._config, new)
        except ConfigError as error:
            log.warning("reload_refused", error=str(error))
            return
        self._next = new
        self._systemd.tell(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1_000)
        self._halt.set()

    async def run(self) -> None:
        """Until stopped. Raises SpoolError, ConfigError, OSError; PartStoppedError after arming the deadline."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        configure_logs(self._config.log_level)
        gateway = wire(self._config, self.remote, self._clock)
        settle_down()
        while True:
            self.remote.restarted()
            await app.run(gateway, self._systemd, self._halt, self._broken)
            if self._stopping:
                self._exit_code = 0
                return
            self._halt.clear()
            gateway = self._rewire()

    def _rewire(self) -> Gateway:
        old, new = self._config, self._next
        configure_logs(new.log_level)
        try:
            gateway = wire(new, self.remote, self._clock)
        except (ConfigError, SpoolError) as error:
            log.critical("reload_failed", error=str(error))
            configure_logs(old.log_level)
            return wire(old, self.remote, self._clock)
        self._config = new
        log.info("reloaded", remote=self.remote.describe()["version"])
        return gateway

    def _broken(self, error: PartStoppedError) -> None:
        """A part has stopped: the process ends even if closing hangs on the same part."""
        log.critical("part_stopped", error=str(error))
        self._exit_code = EXIT_BROKEN
        self._systemd.tell(STATUS=f"ended: {error}"[:200])
        self._end_within_deadline()

    def _end_within_deadline(self) -> None:
        def end() -> None:
            log.critical("stop_forced", after_s=STOP_WITHIN_S)
            os._exit(self._exit_code)

        timer = threading.Timer(STOP_WITHIN_S, end)
        timer.daemon = True
        timer.start()


def _check_same_home(old: GatewayConfig, new: GatewayConfig) -> None:
    """Identity and spool are fixed for the life of a process. Raises ConfigError."""
    for name in ("id", "data_dir"):
        if getattr(old.gateway, name) != getattr(new.gateway, name):
            raise ConfigError(f"gateway.{name}: needs a restart")


def main(path: Path) -> int:
    """Run the daemon on the configuration at `path`; returns the exit code."""
    try:
        asyncio.run(_run(path))
    except (SpoolError, ConfigError, OSError) as error:
        sys.stderr.write(f"anju-gateway: {error}\n")
        return 1
    except PartStoppedError as error:
        sys.stderr.write(f"anju-gateway: {error}\n")
        return EXIT_BROKEN
    return 0


async def _run(path: Path) -> None:
    await Daemon(path, Systemd()).run()
