"""The event stream (SSE): incidents as they change, resumable by Last-Event-ID, with a sign of life."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from cloud.api.fanout import Fanout
from cloud.api.listener import Listener
from cloud.api.problems import RESPONSES
from cloud.api.sessions import Operator, session_of

router = APIRouter(tags=["stream"], responses={k: v for k, v in RESPONSES.items() if k in (401, 403)})


def _fanout(request: Request) -> Fanout:
    fanout: Fanout = request.app.state.fanout
    return fanout


Feed = Annotated[Fanout, Depends(_fanout)]


async def _listening(request: Request, actor: Operator, fanout: Feed) -> AsyncIterator[Listener]:
    """A dependency, so that it ends with the request for certain: nobody closes the generator of a broken stream."""
    async with fanout.listening(session_of(request), actor.area) as listener:
        yield listener


@router.get("/events", operation_id="events", response_class=EventSourceResponse)
async def events(
    fanout: Feed,
    listener: Annotated[Listener, Depends(_listening)],
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Changes of incidents as server-sent events.

    `incident` {position, kind, incident} for every event of the log, its id the position; `ping` {at} at once (with
    the position as its id, if the request names none) and every 5 s; `reset` {} when what was missed is too much: read
    the list anew. An operator of one sub-district hears of no other. The stream ends with the session, or when the
    operator's sub-district changes.
    """
    if last_event_id is None:
        yield fanout.sign_of_life(listener.joined_at)
    else:
        yield fanout.sign_of_life()
        async for event in fanout.missed(listener, last_event_id):
            yield event
    while (waiting := await listener.next()) is not None:
        yield waiting
