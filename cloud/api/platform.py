"""The platform's own affairs: what is in quarantine, which homes an outage holds, minutes without protection."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from cloud.api.incidents import TheirIncident
from cloud.api.models import View
from cloud.api.problems import RESPONSES, ApiError
from cloud.api.sessions import DistrictOperator, InContext, Operator
from cloud.context import Work
from cloud.incidents.queries import actor_name, names_of
from cloud.ingest import quarantine
from cloud.ingest.replay import replay as replay_entries
from cloud.supervision import unprotected
from cloud.supervision.outages import homes_of

router = APIRouter(responses=RESPONSES, tags=["platform"])
EntryId = Annotated[int, Path(ge=1)]
_SHOWN_BYTES = 20_000


class HeldMessage(View):
    """A message that was refused."""

    id: int
    received_at: float
    topic: str
    gateway_id: str | None
    epoch: str | None
    lane: str | None
    seq: int | None
    reason: str
    detail: str
    size: int
    state: str
    settled_at: float | None
    settled_by: str | None
    settled_by_name: str | None
    note: str | None


class HeldPayload(HeldMessage):
    """One with its bytes as text; what is no UTF-8 is escaped, what is beyond 20,000 bytes left out."""

    payload: str


class Entries(BaseModel):
    """Which entries are meant."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=500)]


class Discard(Entries):
    """Entries nobody wants, and why."""

    note: Annotated[str, Field(min_length=1, max_length=500)]


class Refusal(View):
    """Why an entry cannot be taken: the reason's code, and the server's own words."""

    reason: str
    detail: str


class Replayed(View):
    """What came of a replay: entries stored now, and why the others still cannot be taken."""

    replayed: list[int]
    refused: dict[int, Refusal]


class Discarded(View):
    """How many entries were settled."""

    discarded: int


class OutageHome(View):
    """A home of an area outage; `back_at` is null while its gateway is away."""

    id: str
    address: str
    lat: float
    lon: float
    since: float
    back_at: float | None


class UnprotectedHome(View):
    """Minutes without protection in a month."""

    home_id: str
    sub_district: str
    address: str
    month: str
    minutes: float


@router.get("/quarantine", operation_id="listQuarantine", response_model=list[HeldMessage])
async def list_quarantine(
    _: DistrictOperator,
    context: InContext,
    state: Literal["held", "replayed", "discarded", "all"] = "held",
    gateway: Annotated[str | None, Query(max_length=63)] = None,
    reason: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[dict[str, Any]]:
    """Refused messages, newest first."""
    async with context.look() as look:
        rows = await quarantine.held(look, state=state, gateway=gateway, reason=reason, limit=limit)
        return await _with_names(look, rows)


@router.get("/quarantine/{entry}", operation_id="showQuarantine", response_model=HeldPayload)
async def show_quarantine(entry: EntryId, _: DistrictOperator, context: InContext) -> dict[str, Any]:
    """One refused message with its bytes."""
    async with context.look() as look:
        row = await quarantine.show(look, entry)
        if row is None:
            raise ApiError(404, "not_found", f"there is no entry {entry}")
        (row,) = await _with_names(look, [row])
    return row | {"payload": bytes(row["payload"])[:_SHOWN_BYTES].decode("utf-8", "backslashreplace")}


async def _with_names(look: Work, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries with the names of those who settled them."""
    names = await names_of(look, {row["settled_by"] for row in rows if row["settled_by"]})
    return [row | {"settled_by_name": row["settled_by"] and actor_name(row["settled_by"], names)} for row in rows]


@router.post("/quarantine/replay", operation_id="replayQuarantine")
async def replay(body: Entries, actor: DistrictOperator, context: InContext, request: Request) -> Replayed:
    """Read and store held messages again, after a fix."""
    result = await replay_entries(context, request.app.state.store, body.ids, f"user:{actor.user_id}")
    refused = {id_: Refusal(reason=error.reason, detail=str(error)) for id_, error in result.refused.items()}
    return Replayed(replayed=result.replayed, refused=refused)


@router.post("/quarantine/discard", operation_id="discardQuarantine")
async def discard(body: Discard, actor: DistrictOperator, context: InContext) -> Discarded:
    """Settle held messages as not wanted."""
    async with context.work() as work:
        return Discarded(discarded=await quarantine.discard(work, body.ids, body.note, f"user:{actor.user_id}"))


@router.get("/incidents/{incident_id}/homes", operation_id="outageHomes", response_model=list[OutageHome])
async def outage_homes(incident_id: TheirIncident, context: InContext) -> list[dict[str, Any]]:
    """Homes of the area outage behind an incident, those still away first; none for any other incident."""
    async with context.look() as look:
        return await homes_of(look, incident_id)


@router.get("/reports/unprotected", operation_id="unprotectedHomes", response_model=list[UnprotectedHome])
async def unprotected_homes(
    actor: Operator, context: InContext, month: Annotated[str, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
) -> list[dict[str, Any]]:
    """Homes with minutes without protection in a month, the longest first."""
    async with context.look() as look:
        return await unprotected.report(look, month, actor.area)
