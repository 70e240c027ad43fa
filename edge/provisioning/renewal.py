"""Renews the certificate while there is plenty of time, and says so when there is not."""

from __future__ import annotations

import asyncio
import random
import ssl
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from edge.clock import Clock
from edge.provisioning.places import CERTIFICATE, CURRENT
from edge.tasks import Backoff

log = structlog.get_logger()

CREDENTIALS = "credentials"
"""Folder of key and certificates in the gateway's data folder."""

_LOOK_EVERY_S = 3_600.0
_FIRST_S = 60.0
_LIMIT_S = 6 * 3_600.0
_WARN_BEFORE_S = 14 * 86_400.0
_PATIENCE_S = 120.0


class RenewalError(Exception):
    """No new certificate is in use; the message says why."""


@dataclass(frozen=True, slots=True)
class Life:
    """When a certificate is valid, Unix seconds."""

    not_before: float
    not_after: float

    def renew_at(self) -> float:
        """When two thirds of its life are over."""
        return self.not_before + (self.not_after - self.not_before) * 2 / 3


def life(certificate: Path) -> Life:
    """Of a certificate in a file (PEM). Raises OSError, also for what is none."""
    # The standard library reads a file's certificate nowhere in public; cryptography is 12 MB for two dates.
    native: Any = ssl._ssl  # type: ignore[attr-defined]
    info = native._test_decode_cert(str(certificate))
    return Life(*(float(ssl.cert_time_to_seconds(info[name])) for name in ("notBefore", "notAfter")))


class Renewal:
    """One task. Renews when two thirds of the certificate's life are over; tries again with full jitter.

    The uplink reads key and certificate at its next connection; the present one goes on with the old, which stays
    good until its end. `expires_at` is the present certificate's end (Unix seconds), None before the first look.
    """

    def __init__(self, url: str, ca_file: Path | None, folder: Path, clock: Clock, rng: random.Random) -> None:
        self._url = url
        self._ca_file = ca_file
        self._folder = folder
        self._clock = clock
        self._backoff = Backoff(_FIRST_S, _LIMIT_S, rng)
        self.expires_at: float | None = None
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Look every hour, until cancelled."""
        while True:
            wait_s = await self.step()
            await asyncio.sleep(wait_s)

    async def step(self) -> float:
        """Look once, renew if it is time; returns how long to wait."""
        try:
            present = await self._look()
            now = self._clock.now().wall
            if now < present.renew_at():
                return _LOOK_EVERY_S
            if present.not_after - now < _WARN_BEFORE_S:
                log.critical("certificate_runs_out", at=present.not_after)
            await self._renew()
            await self._look()
        except (RenewalError, OSError) as error:
            self.counts["failed"] += 1
            log.warning("certificate_not_renewed", error=str(error) or repr(error))
            return self._backoff.next_s()
        self.counts["renewed"] += 1
        self._backoff.succeeded()
        log.info("certificate_renewed", expires_at=self.expires_at)
        return _LOOK_EVERY_S

    async def _look(self) -> Life:
        found = await asyncio.to_thread(life, self._folder / CURRENT / CERTIFICATE)
        self.expires_at = found.not_after
        return found

    async def _renew(self) -> None:
        """In a process of its own. Raises RenewalError, OSError; TimeoutError is one."""
        authority = [] if self._ca_file is None else [str(self._ca_file)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "edge.provisioning.renew", str(self._folder), self._url, *authority),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_PATIENCE_S):
                _, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode != 0:
            lines = said.decode("utf-8", "replace").strip().splitlines()
            raise RenewalError(lines[-1][:500] if lines else f"exit code {process.returncode}")
