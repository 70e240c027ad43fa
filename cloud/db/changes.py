"""Wakes the loops of this process when a transaction has left work for them.

Other processes are told by `cloud.db.bell` where the database can, and see it by polling otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib

POLL_S = 0.25
_GAP_S = 0.05
"""The bell rings at once, and not again before so long: each ring costs a query in every loop of every process."""


class Changes:
    """One bell for everybody: cheap, because every loop looks into its own indexed table."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._committed = asyncio.Event()
        self._rang_at = float("-inf")
        self._ringing = False

    def notify(self) -> None:
        """Something was committed in this process."""
        self._committed.set()
        self.wake()

    def wake(self) -> None:
        """Something was committed, here or elsewhere."""
        if self._ringing:
            return
        loop = asyncio.get_running_loop()
        if loop.time() >= self._rang_at + _GAP_S:
            self._ring(loop)
        else:
            self._ringing = True
            loop.call_at(self._rang_at + _GAP_S, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ringing, self._rang_at = False, loop.time()
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, timeout_s: float = POLL_S) -> None:
        """Return at the next `wake`, or after `timeout_s`."""
        event = self._event
        # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the event.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await event.wait()

    async def committed(self) -> None:
        """Return once something was committed in this process since the last call."""
        await self._committed.wait()
        self._committed.clear()
