"""Homes, their time series, responders and the figures of the moment."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import ColumnElement, func, or_, select, true

from cloud.api.models import HomeSummary, Overview, Responder, Sample, Series
from cloud.api.problems import RESPONSES, ApiError
from cloud.api.sessions import InContext, Operator, SignedIn, area_of_user
from cloud.context import Context
from cloud.db.schema import contacts, gateways, homes, incidents, residents, responders
from cloud.incidents.areas import concerning
from cloud.incidents.queries import resident_view
from cloud.incidents.states import State
from cloud.supervision.platform import PLATFORM
from cloud.timeseries.base import Resolution, TimeSeriesStore
from cloud.timeseries.thinning import resolution_for
from protocols.metrics import METRICS

router = APIRouter(responses=RESPONSES)
HomeId = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
_MAX_METRICS = 16
_MAX_SPAN_S = 400 * 86_400.0


def _store(request: Request) -> TimeSeriesStore:
    store: TimeSeriesStore = request.app.state.store
    return store


@router.get("/homes", operation_id="listHomes", response_model=list[HomeSummary], tags=["homes"])
async def list_homes(
    actor: Operator,
    context: InContext,
    q: Annotated[str, Query(max_length=80)] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[dict[str, Any]]:
    """Homes whose resident's name, address or id holds `q`."""
    statement = select(homes).where(homes.c.id != PLATFORM, _in(actor.area)).order_by(homes.c.id).limit(limit)
    if text := q.strip():
        like = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        named = select(residents.c.home_id).where(residents.c.name.like(like, escape="\\"))
        found = homes.c.address.like(like, escape="\\"), homes.c.id.like(like, escape="\\"), homes.c.id.in_(named)
        statement = statement.where(or_(*found))
    async with context.look() as work:
        rows = await work.all(statement)
        ids = [row["id"] for row in rows]
        people = await work.all(select(residents).where(residents.c.home_id.in_(ids)).order_by(residents.c.id))
        boxes = {g["home_id"]: g for g in await work.all(select(gateways).where(gateways.c.home_id.in_(ids)))}
    return [
        row
        | {
            "residents": [resident_view(p) for p in people if p["home_id"] == row["id"]],
            "online": bool(boxes.get(row["id"], {}).get("online")),
            "last_seen_at": boxes.get(row["id"], {}).get("last_seen_at"),
        }
        for row in rows
    ]


def _in(area: str | None) -> ColumnElement[bool]:
    """Homes of an area; None: all."""
    return true() if area is None else homes.c.sub_district == area


async def _may_see(context: Context, user: dict[str, Any], home_id: str) -> None:
    async with context.look() as work:
        known = await work.one(select(homes.c.id).where(homes.c.id == home_id, _in(area_of_user(user))))
        own = None
        if user["role"] == "family":
            own = await work.one(select(contacts.c.home_id).where(contacts.c.id == user["contact_id"]))
    allowed = user["role"] in ("operator", "supervisor", "admin") or (own is not None and own["home_id"] == home_id)
    if known is None or not allowed:
        raise ApiError(404, "not_found", f"there is no home {home_id}")


@router.get("/homes/{home_id}/latest", operation_id="latestSamples", response_model=list[Sample], tags=["homes"])
async def latest(home_id: HomeId, user: SignedIn, context: InContext, request: Request) -> list[Any]:
    """The latest value of everything in a home."""
    await _may_see(context, user, home_id)
    return list(await _store(request).latest(home_id))


@router.get("/homes/{home_id}/series", operation_id="readSeries", response_model=list[Series], tags=["homes"])
async def series(
    home_id: HomeId,
    user: SignedIn,
    context: InContext,
    request: Request,
    metrics: Annotated[str, Query(max_length=500, description="names, separated by commas")],
    start: Annotated[float, Query(ge=0, le=4_102_444_800, allow_inf_nan=False)],
    end: Annotated[float, Query(ge=0, le=4_102_444_800, allow_inf_nan=False)],
    max_points: Annotated[int, Query(ge=2, le=5_000)] = 1_000,
    resolution: Literal["auto", "raw", "15min", "1d"] = "auto",
) -> list[Any]:
    """Values over time, thinned to at most `max_points` a series. `auto` takes raw values for up to two days, windows
    of 15 minutes for up to sixty, days beyond; windows come with their extremes.
    """
    await _may_see(context, user, home_id)
    names = list(dict.fromkeys(name for name in metrics.split(",") if name))
    unknown = [name for name in names if name not in METRICS]
    if unknown or not 0 < len(names) <= _MAX_METRICS:
        raise ApiError(422, "malformed", f"metrics: 1 to {_MAX_METRICS} known names, not {unknown[:3] or names[:3]}")
    if not 0 < end - start <= _MAX_SPAN_S:
        raise ApiError(422, "malformed", f"end: must lie after start, by at most {_MAX_SPAN_S:.0f} s")
    raw_days = context.config.timeseries.raw_retention_days
    chosen = resolution_for(start, end, context.now(), raw_days) if resolution == "auto" else Resolution(resolution)
    found = await _store(request).range(home_id, names, start, end, max_points=max_points, resolution=chosen)
    return list(found)


@router.get("/responders", operation_id="listResponders", response_model=list[Responder], tags=["people"])
async def list_responders(_: Operator, context: InContext) -> list[dict[str, Any]]:
    """All responders, those on duty first."""
    async with context.look() as work:
        return await work.all(select(responders).order_by(responders.c.on_duty.desc(), responders.c.id))


@router.get("/overview", operation_id="overview", tags=["people"])
async def overview(actor: Operator, context: InContext) -> Overview:
    """Figures of the moment; responders are those of the whole district, who can be sent anywhere."""
    boxes = select(func.count()).select_from(gateways.join(homes)).where(_in(actor.area))
    async with context.look() as work:
        rows = await work.all(
            select(incidents.c["class"], incidents.c.state, func.count().label("n"))
            .where(incidents.c.state != State.CLOSED, true() if actor.area is None else concerning(actor.area))
            .group_by(incidents.c["class"], incidents.c.state)
        )
        by_class: Counter[str] = Counter()
        for row in rows:
            by_class[row["class"]] += row["n"]
        return Overview(
            gateways=int(await work.connection.scalar(boxes) or 0),
            gateways_online=int(await work.connection.scalar(boxes.where(gateways.c.online.is_(True))) or 0),
            responders_on_duty=int(
                await work.connection.scalar(select(func.count()).where(responders.c.on_duty.is_(True))) or 0
            ),
            open_life=by_class["life"],
            open_technical=by_class["technical"],
            unclaimed_life=sum(r["n"] for r in rows if r["class"] == "life" and r["state"] == State.NEW),
        )
