"""Incidents over HTTP: reading for everybody concerned, actions for operators."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import ColumnElement, select

from cloud.api.models import (
    Candidate,
    Close,
    Dispatch,
    IncidentDetail,
    IncidentSummary,
    Note,
    Takeover,
    Versioned,
)
from cloud.api.problems import RESPONSES
from cloud.api.sessions import InContext, Operator, SignedIn, area_of_user
from cloud.context import Context, Work
from cloud.db.schema import assignments, contacts, incidents
from cloud.dispatch.responders import rank
from cloud.incidents import actions, queries
from cloud.incidents.areas import concerning
from cloud.incidents.store import NotFoundError

router = APIRouter(prefix="/incidents", tags=["incidents"], responses=RESPONSES)
IncidentId = Annotated[str, Path(min_length=36, max_length=36, pattern=r"^[0-9a-f-]{36}$")]


async def visible_to(work: Work, user: dict[str, Any]) -> ColumnElement[bool] | None:
    """What a user may see: operators their area's, family their home's, responders their jobs'; None: everything."""
    if user["role"] == "family":
        contact = await work.one(select(contacts.c.home_id).where(contacts.c.id == user["contact_id"]))
        return incidents.c.home_id == (contact["home_id"] if contact else "")
    if user["role"] == "responder":
        jobs = select(assignments.c.incident_id).where(assignments.c.responder_id == user["responder_id"])
        return incidents.c.id.in_(jobs)
    area = area_of_user(user)
    return None if area is None else concerning(area)


async def _of_their_area(incident_id: IncidentId, actor: Operator, context: InContext) -> str:
    """The id, if the incident concerns the operator's area."""
    if actor.area is not None:
        async with context.look() as work:
            mine = incidents.c.id == incident_id, concerning(actor.area)
            if await work.one(select(incidents.c.id).where(*mine)) is None:
                raise NotFoundError(f"there is no incident {incident_id}")
    return incident_id


TheirIncident = Annotated[str, Depends(_of_their_area)]
"""An incident that the operator may act on. Raises NotFoundError for any other."""


async def _detail(context: Context, incident_id: str) -> dict[str, Any]:
    async with context.look() as work:
        found = await queries.incident_detail(work, incident_id)
    if found is None:
        raise NotFoundError(f"there is no incident {incident_id}")
    return found


@router.get("", operation_id="listIncidents", response_model=list[IncidentSummary])
async def list_incidents(
    user: SignedIn,
    context: InContext,
    state: Literal["open", "new", "claimed", "dispatched", "on_scene", "resolved", "closed"] = "open",
    limit: Annotated[int, Query(ge=1, le=500)] = 500,
) -> list[dict[str, Any]]:
    """Incidents the user may see, newest first."""
    async with context.look() as work:
        only = await visible_to(work, user)
        return await queries.list_incidents(work, state=state, only=only, limit=limit)


@router.get("/{incident_id}", operation_id="getIncident", response_model=IncidentDetail)
async def get_incident(incident_id: IncidentId, user: SignedIn, context: InContext) -> dict[str, Any]:
    """One incident in full."""
    async with context.look() as work:
        only = await visible_to(work, user)
        if only is not None:
            seen = await work.one(select(incidents.c.id).where(incidents.c.id == incident_id, only))
            if seen is None:
                raise NotFoundError(f"there is no incident {incident_id}")
    return await _detail(context, incident_id)


@router.get("/{incident_id}/responders", operation_id="rankResponders", response_model=list[Candidate])
async def rank_responders(incident_id: TheirIncident, _: Operator, context: InContext) -> list[Any]:
    """Who could be sent, best first."""
    async with context.look() as work:
        return await rank(work, incident_id)


@router.post("/{incident_id}/claim", operation_id="claimIncident", response_model=IncidentDetail)
async def claim(incident_id: TheirIncident, body: Versioned, actor: Operator, context: InContext) -> dict[str, Any]:
    """Take the incident; the claim is a lease that must be renewed."""
    await actions.claim(context, actor, incident_id, body.version)
    return await _detail(context, incident_id)


@router.post("/{incident_id}/renew", operation_id="renewClaim", response_model=IncidentDetail)
async def renew(incident_id: TheirIncident, _: Versioned, actor: Operator, context: InContext) -> dict[str, Any]:
    """Prolong one's own claim."""
    await actions.renew(context, actor, incident_id)
    return await _detail(context, incident_id)


@router.post("/{incident_id}/release", operation_id="releaseIncident", response_model=IncidentDetail)
async def release(incident_id: TheirIncident, body: Versioned, actor: Operator, context: InContext) -> dict[str, Any]:
    """Give the incident back to the queue."""
    await actions.release(context, actor, incident_id, body.version)
    return await _detail(context, incident_id)


@router.post("/{incident_id}/takeover", operation_id="takeOverIncident", response_model=IncidentDetail)
async def takeover(incident_id: TheirIncident, body: Takeover, actor: Operator, context: InContext) -> dict[str, Any]:
    """Take an incident from another operator."""
    await actions.takeover(context, actor, incident_id, body.version, body.reason)
    return await _detail(context, incident_id)


@router.post("/{incident_id}/dispatch", operation_id="dispatchResponder", response_model=IncidentDetail)
async def dispatch(incident_id: TheirIncident, body: Dispatch, actor: Operator, context: InContext) -> dict[str, Any]:
    """Offer the incident to a responder."""
    await actions.dispatch(context, actor, incident_id, body.version, body.responder_id)
    return await _detail(context, incident_id)


@router.post("/{incident_id}/resolve", operation_id="resolveIncident", response_model=IncidentDetail)
async def resolve(incident_id: TheirIncident, body: Versioned, actor: Operator, context: InContext) -> dict[str, Any]:
    """Mark the incident as dealt with."""
    await actions.resolve(context, actor, incident_id, body.version)
    return await _detail(context, incident_id)


@router.post("/{incident_id}/close", operation_id="closeIncident", response_model=IncidentDetail)
async def close(incident_id: TheirIncident, body: Close, actor: Operator, context: InContext) -> dict[str, Any]:
    """Close with an outcome and stand everybody down."""
    await actions.close(context, actor, incident_id, body.version, body.outcome, body.note)
    return await _detail(context, incident_id)


@router.post("/{incident_id}/notes", operation_id="addNote", response_model=IncidentDetail)
async def note(incident_id: TheirIncident, body: Note, actor: Operator, context: InContext) -> dict[str, Any]:
    """Add a note."""
    await actions.note(context, actor, incident_id, body.text)
    return await _detail(context, incident_id)
