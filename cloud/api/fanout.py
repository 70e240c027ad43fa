"""One reader of the event log for all event streams of this process.

However many consoles are open, a ring of the bell costs one look into the log; what it finds is read and encoded once
and put into each stream's own bounded queue. The same reader sends the signs of life, so that a console whose reader
has stopped sees silence, and asks each time who may still listen.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import structlog
from fastapi.sse import ServerSentEvent
from sqlalchemy.exc import SQLAlchemyError

from cloud.api.listener import Change, Listener, reset
from cloud.api.models import IncidentSummary
from cloud.api.sessions import operators_among
from cloud.context import Context, Work
from cloud.incidents.areas import area_of
from cloud.incidents.events import EventFeed
from cloud.incidents.queries import summaries_of

log = structlog.get_logger()

PING_S = 5.0
LIMIT = 2_000
"""As many changes are kept for a console that is slow or was away; one that missed more reads the list anew."""
_NOTHING = object()
"""Differs from every area: of a session that is over, or nobody's who may listen."""
_IDLE_S = 1.0
_PAGE = 100


class Fanout:
    """Runs until cancelled; without listeners it waits and asks nothing of the database."""

    def __init__(self, context: Context, limit: int = LIMIT, ping_s: float = PING_S) -> None:
        self.counts: Counter[str] = Counter()
        self._context = context
        self._feed = EventFeed(context)
        self._limit = limit
        self._ping_s = ping_s
        self._listeners: set[Listener] = set()
        self._position: int | None = None
        """All up to it was put to the listeners; None while there are none."""
        self._wanted = asyncio.Event()

    def gauges(self) -> dict[str, float]:
        """Streams that are open, and the most that waits for one of them."""
        most = max((listener.waiting for listener in self._listeners), default=0)
        return {"streams_open": len(self._listeners), "stream_waiting_most": most}

    @asynccontextmanager
    async def listening(self, session: str, area: str | None = None) -> AsyncIterator[Listener]:
        """A listener that is put everything of its area after its `joined_at`, for a session by its token's hash."""
        if self._position is None:
            latest = await self._feed.latest_position()
            if self._position is None:  # another may have come first; the reader goes on from its position
                self._position = latest
        listener = Listener(session, self._position, self._limit, area)
        self._listeners.add(listener)
        self._wanted.set()
        self.counts["streams_opened"] += 1
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def missed(self, listener: Listener, known: str) -> AsyncIterator[ServerSentEvent]:
        """From the event that a console saw last to where it joined; a reset where that is unknown or too far."""
        position = int(known) if known.isascii() and known.isdecimal() else -1
        if position > listener.joined_at and position <= await self._feed.latest_position():
            listener.skip_to(position)  # another process, from which the console comes, was ahead of this one
        elif not max(0, listener.joined_at - self._limit) <= position <= listener.joined_at:
            self.counts["stream_resets"] += 1
            yield reset(listener.joined_at)
        else:
            while position < listener.joined_at:
                found = await self._feed.read_after(position, _PAGE)
                found = [row for row in found if row["position"] <= listener.joined_at]
                if not found:
                    return
                async with self._context.look() as work:
                    changes = await _changes(work, found)
                for change in changes:
                    if listener.over:
                        return
                    if listener.may_see(change):
                        yield change.event
                position = found[-1]["position"]

    def sign_of_life(self, position: int | None = None) -> ServerSentEvent:
        """The server's time; with `position` a console knows where to resume before anything has happened."""
        known = None if position is None else str(position)
        return ServerSentEvent(event="ping", data={"at": self._context.now()}, id=known)

    async def run(self) -> None:
        """Read for all. Where reading fails all streams end: consoles must see it, and come back by themselves."""
        try:
            while True:
                await self._wanted.wait()
                try:
                    await self._follow()
                except (SQLAlchemyError, OSError) as error:
                    self.counts["stream_error"] += 1
                    log.warning("streams_end", error=str(error).partition("\n")[0])
                    self._rest()
        finally:
            self._rest()

    def _rest(self) -> None:
        """End whoever listens, and wait for the next."""
        for listener in self._listeners:
            listener.end()
        self._listeners.clear()
        self._position = None
        self._wanted.clear()

    async def _follow(self) -> None:
        """Until nobody listens any more."""
        assert self._position is not None
        loop = asyncio.get_running_loop()
        ping_at = loop.time() + self._ping_s
        async with aclosing(self._feed.follow(self._position, min(_IDLE_S, self._ping_s))) as batches:
            async for found in batches:
                if not self._listeners:
                    self._rest()
                    return
                due = loop.time() >= ping_at
                if found or due:
                    await self._tell(found)
                if due:
                    ping_at = loop.time() + self._ping_s
                    ping = self.sign_of_life()
                    for listener in self._listeners:
                        listener.ping(ping)

    async def _tell(self, found: Sequence[dict[str, Any]]) -> None:
        """Put what was found to all who may still see it."""
        asked = {listener.session for listener in self._listeners}
        async with self._context.look() as work:
            allowed = await operators_among(work, asked)
            changes = await _changes(work, found)
        # From here on nothing waits: whoever joined meanwhile gets this batch like the others.
        for listener in [one for one in self._listeners if allowed.get(one.session, _NOTHING) != one.area]:
            listener.end()
            self._listeners.discard(listener)
            self.counts["streams_no_longer_permitted"] += 1
        if found:
            self._position = found[-1]["position"]
            for listener in self._listeners:
                self.counts["stream_resets"] += listener.put(changes, self._position)


async def _changes(work: Work, found: Sequence[dict[str, Any]]) -> list[Change]:
    """Each event with its incident as it is now, encoded."""
    ids = {row["incident_id"] for row in found if row["incident_id"]}
    if not ids:
        return []
    summaries = await summaries_of(work, ids)
    incidents = {id_: IncidentSummary(**one).model_dump_json(by_alias=True) for id_, one in summaries.items()}
    areas = {id_: area_of(one["home"]["sub_district"], one["cause"]) for id_, one in summaries.items()}
    result = []
    for row in found:
        incident = incidents.get(row["incident_id"])
        if incident is not None:
            position = row["position"]
            data = f'{{"position":{position},"kind":{json.dumps(row["kind"])},"incident":{incident}}}'
            event = ServerSentEvent(event="incident", raw_data=data, id=str(position))
            result.append(Change(position, event, areas[row["incident_id"]]))
    return result
