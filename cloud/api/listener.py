"""What waits to be sent to one console: bounded, so that a console that does not read costs only its own view."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi.sse import ServerSentEvent


@dataclass(frozen=True, slots=True)
class Change:
    """An event of the log as it is sent; one object for all consoles. `area`: whose it is; None: everybody's."""

    position: int
    event: ServerSentEvent
    area: str | None = None


def reset(position: int) -> ServerSentEvent:
    """Says that what happened up to `position` was too much to send: read the list anew."""
    return ServerSentEvent(event="reset", data={}, id=str(position))


class Listener:
    """One open stream.

    More than `limit` changes that were not sent yet give way to one `reset`, whose position moves on with the log
    until the console reads it. A ping that was not sent gives way to the next.
    """

    def __init__(self, session: str, joined_at: int, limit: int, area: str | None = None) -> None:
        self.session = session
        self.area = area
        """The only area whose changes are sent; None: all."""
        self.joined_at = joined_at
        """Position of the log when it joined: what came later is put here, what came before is not."""
        self.over = False
        self._seen = joined_at
        self._limit = limit
        self._waiting: deque[Change] = deque()
        self._missed_to: int | None = None
        self._ping: ServerSentEvent | None = None
        self._filled = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many changes are not sent yet."""
        return len(self._waiting)

    def may_see(self, change: Change) -> bool:
        """Whether a change concerns this console."""
        return self.area is None or change.area in (None, self.area)

    def skip_to(self, position: int) -> None:
        """The console has seen everything up to `position` elsewhere."""
        self._seen = position
        while self._waiting and self._waiting[0].position <= position:
            self._waiting.popleft()

    def put(self, changes: Sequence[Change], position: int) -> bool:
        """Add the changes up to `position`; whether it became too much by them."""
        overflows = False
        if self._missed_to is not None:
            self._missed_to = position
        else:
            self._waiting.extend(c for c in changes if c.position > self._seen and self.may_see(c))
            overflows = len(self._waiting) > self._limit
            if overflows:
                self._waiting.clear()
                self._missed_to = position
        self._filled.set()
        return overflows

    def ping(self, event: ServerSentEvent) -> None:
        """Add a sign of life."""
        self._ping = event
        self._filled.set()

    def end(self) -> None:
        """Send nothing any more, not even what waits."""
        self.over = True
        self._waiting.clear()
        self._filled.set()

    async def next(self) -> ServerSentEvent | None:
        """What is to be sent next, as soon as there is something; None once the stream is over."""
        while not self.over:
            if self._missed_to is not None:
                position, self._missed_to = self._missed_to, None
                return reset(position)
            if self._waiting:
                return self._waiting.popleft().event
            if self._ping is not None:
                ping, self._ping = self._ping, None
                return ping
            self._filled.clear()
            await self._filled.wait()
        return None
