"""Renews the certificate while there is plenty of time, and says so when there is not."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from edge.clock import Clock
from edge.tasks import Backoff

if TYPE_CHECKING:
    from edge.provisioning.credentials import Present

log = structlog.get_logger()

CREDENTIALS = "credentials"
"""Folder of key and certificates in the gateway's data folder."""

_LOOK_EVERY_S = 3_600.0
_FIRST_S = 60.0
_LIMIT_S = 6 * 3_600.0
_WARN_BEFORE_S = 14 * 86_400.0


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
        from edge.provisioning import client, credentials  # heavy, and only for provisioned gateways

        try:
            present = await asyncio.to_thread(credentials.present, self._folder)
            self.expires_at = present.not_after
            now = self._clock.now().wall
            if now < present.renew_at():
                return _LOOK_EVERY_S
            if present.not_after - now < _WARN_BEFORE_S:
                log.critical("certificate_runs_out", at=present.not_after)
            self.expires_at = await asyncio.to_thread(self._renew, present)
        except (client.EnrolmentError, credentials.CredentialsError) as error:
            self.counts["failed"] += 1
            log.warning("certificate_not_renewed", error=str(error))
            return self._backoff.next_s()
        self.counts["renewed"] += 1
        self._backoff.succeeded()
        log.info("certificate_renewed", expires_at=self.expires_at)
        return _LOOK_EVERY_S

    def _renew(self, present: Present) -> float:
        from edge.provisioning import client, credentials

        pending = self._folder / "pending.key"
        key = credentials.new_key(pending)
        endpoint = client.EnrolmentClient(self._url, self._ca_file)
        answer = endpoint.renew(present.certificate, key.request, present.sign(key.request))
        credentials.store(self._folder, key, answer.certificate, answer.authority)
        pending.unlink(missing_ok=True)
        return answer.expires_at
