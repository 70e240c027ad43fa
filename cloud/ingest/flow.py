"""How much ingest takes on: the waiting list's bounds, writers at a time, and the pace asked of the gateways."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from cloud.config import Ingest

Message = tuple[str, bytes]
"""Topic, payload."""

_SLOWEST = 0.01
_WHILE_FAILING = 0.2
_FASTEST = 4.0
_EVERY_OK = 8
_SLOWER = 2.5


class WaitingList:
    """Messages in the order they came, bounded by count and bytes, including those being written."""

    def __init__(self, limits: Ingest) -> None:
        self._limits = limits
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._since = 0.0
        self._arrived = asyncio.Event()
        self.held = 0
        self.held_bytes = 0

    def put(self, message: Message) -> bool:
        """Take one; False where a bound is reached."""
        size = len(message[1])
        limits = self._limits
        if self.held >= limits.max_in_flight_batches or self.held_bytes + size > limits.max_in_flight_bytes:
            return False
        messages = self._messages
        if not messages:
            self._since = time.monotonic()
            self._arrived.set()
        messages.append(message)
        self.held += 1
        self.held_bytes += size
        self._bytes += size
        if len(messages) == limits.flush_batches or self._bytes >= limits.flush_bytes:
            self._arrived.set()
        return True

    async def take(self) -> tuple[list[Message], float]:
        """Wait for a flush's worth, by count, bytes or age; returns it and when its oldest arrived (monotonic)."""
        limits = self._limits
        while True:
            self._arrived.clear()
            if len(self._messages) >= limits.flush_batches or self._bytes >= limits.flush_bytes:
                break
            left: float | None = None
            if self._messages:
                left = self._since + limits.flush_interval_s - time.monotonic()
                if left <= 0:
                    break
            try:
                async with asyncio.timeout(left):
                    await self._arrived.wait()
            except TimeoutError:
                break
        return self.take_now()

    def take_now(self) -> tuple[list[Message], float]:
        """Up to a flush's worth of what is there."""
        limits = self._limits
        taken: list[Message] = []
        size = 0
        while self._messages and len(taken) < limits.flush_batches and size < limits.flush_bytes:
            message = self._messages.popleft()
            size += len(message[1])
            taken.append(message)
        self._bytes -= size
        since, self._since = self._since, time.monotonic()
        return taken, since

    def settle(self, messages: list[Message]) -> None:
        """These are stored or given up; there is room again."""
        self.held -= len(messages)
        self.held_bytes -= sum(len(payload) for _, payload in messages)

    @property
    def fill(self) -> float:
        """How full it is, 0 to 1."""
        limits = self._limits
        return max(self.held / limits.max_in_flight_batches, self.held_bytes / limits.max_in_flight_bytes)


class WriterLimit:
    """How many writes run at a time: one more after eight good ones, half after one that is slow, one after an error.

    Additive increase and multiplicative decrease, as in TCP: a store that gets slower with every further writer is
    left alone, one that has cores to spare is used.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._best_s = float("inf")
        self._good = 0
        self._running = 0
        self._free = asyncio.Event()
        self.limit = 1

    async def acquire(self) -> None:
        """Wait for a turn; `release` ends it."""
        while self._running >= self.limit:
            self._free.clear()
            await self._free.wait()
        self._running += 1

    def release(self) -> None:
        """Another may write."""
        self._running -= 1
        self._free.set()

    def wrote(self, lines: int, seconds: float) -> None:
        """A write went well."""
        if lines < 100:
            return  # too few to say how fast the store is
        each = seconds / lines
        self._best_s = min(self._best_s * 1.001, each)
        if each > _SLOWER * self._best_s * self.limit:
            self.limit, self._good = max(1, self.limit // 2), 0
            return
        self._good += 1
        if self._good >= _EVERY_OK:
            self._good = 0
            self.limit = min(self._most, self.limit + 1)

    def failed(self) -> None:
        """A write failed: from now on one at a time probes."""
        self.limit, self._good = 1, 0


class Pace:
    """Back-log batches a second asked of each gateway; None is no bound.

    Less by a third a second while the waiting list is more than half full, more by a seventh while it is less than a
    quarter full (by half while it is nearly empty), little while a store is away. So it comes to what the platform can
    take, however many gateways there are.
    """

    def __init__(self) -> None:
        self.value: float | None = None
        self._changed_at = 0.0

    def update(self, fill: float, *, failing: bool = False) -> float | None:
        """The pace at this moment."""
        now = time.monotonic()
        if failing:
            self.value = min(_WHILE_FAILING, self.value or _WHILE_FAILING)
        elif now - self._changed_at >= 1.0:
            self._changed_at = now
            if fill > 0.5:
                self.value = max(_SLOWEST, (1.0 if self.value is None else self.value) * 0.67)
            elif fill < 0.25 and self.value is not None:
                faster = self.value * (1.14 if fill > 0.1 else 1.5)
                self.value = faster if faster < _FASTEST else None
        return self.value
