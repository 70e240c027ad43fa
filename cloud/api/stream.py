"""The event stream (SSE): incidents as they change, resumable by Last-Event-ID, with a sign of life."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from cloud.api.models import IncidentSummary
from cloud.api.problems import RESPONSES
from cloud.api.sessions import InContext, Operator
from cloud.context import Context
from cloud.incidents.events import EventFeed
from cloud.incidents.queries import summaries_of

router = APIRouter(tags=["stream"], responses={k: v for k, v in RESPONSES.items() if k in (401, 403)})

PING_S = 5.0
_MAX_RESUMED = 2_000


@router.get("/events", operation_id="events", response_class=EventSourceResponse)
async def events(
    request: Request,
    _: Operator,
    context: InContext,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Changes of incidents as server-sent events.

    `incident` {position, kind, incident} for every event of the log, its id the position; `ping` {at} at once and
    every 5 s; `reset` {} when what was missed is too much: read the list anew.
    """
    feed = EventFeed(context)
    stopping: asyncio.Event = request.app.state.stopping
    latest = await feed.latest_position()
    position = latest
    if last_event_id is not None:
        known = int(last_event_id) if last_event_id.isascii() and last_event_id.isdecimal() else -1
        if latest - _MAX_RESUMED <= known <= latest and known >= 0:
            position = known
        else:
            yield ServerSentEvent(event="reset", data={}, id=str(latest))
    yield ServerSentEvent(event="ping", data={"at": context.now()})
    last_ping = asyncio.get_running_loop().time()
    async for found in feed.follow(position, 1.0):
        if stopping.is_set():
            return
        for event in await _with_incidents(context, found):
            yield event
        if asyncio.get_running_loop().time() - last_ping >= PING_S:
            last_ping = asyncio.get_running_loop().time()
            yield ServerSentEvent(event="ping", data={"at": context.now()})


async def _with_incidents(context: Context, found: list[dict[str, Any]]) -> list[ServerSentEvent]:
    """Each event with its incident as it is now."""
    ids = {row["incident_id"] for row in found if row["incident_id"]}
    if not ids:
        return []
    async with context.look() as work:
        summaries = await summaries_of(work, ids)
    result = []
    for row in found:
        summary = summaries.get(row["incident_id"])
        if summary is not None:
            incident = IncidentSummary(**summary).model_dump(mode="json", by_alias=True)
            data = {"position": row["position"], "kind": row["kind"], "incident": incident}
            result.append(ServerSentEvent(event="incident", data=data, id=str(row["position"])))
    return result
