"""Absent gateways: one incident for a home, one for a whole area where many go within minutes.

Theory of operation. A gateway is absent by its will, or by silence beyond a limit; its row then says since when.
Every few seconds one process looks at the absent that are not reported yet. If so many of a sub-district went within
the window that it is no accident, they become one outage with one incident, which others of that area join while it
lasts; the rest, after a grace, become an incident each. Coming back is written in the transaction of the status that
shows it, which sees under the row's lock how the absence was reported: so an incident can neither be opened after the
return nor stay open for it. Life alarms are of another class and never touched.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import exists, func, or_, select, update

from cloud.context import Context, Work
from cloud.db.schema import gateways, homes, incidents, ledger, outage_homes, outages
from cloud.db.upsert import upsert
from cloud.incidents import technical
from cloud.incidents.areas import outage_cause
from cloud.incidents.events import record
from cloud.incidents.states import State
from cloud.supervision import unprotected
from cloud.supervision.platform import PLATFORM, ensure_platform, watch

_LOCK = 7_004
_AT_ONCE = 2_000
_ROWS_AT_ONCE = 500
_OUTAGE = "outage:"
_END_SHARE = 0.1
_END_AFTER_S = 120.0
_COLUMNS = (gateways.c.id, gateways.c.home_id, gateways.c.offline_since, gateways.c.reported, homes.c.sub_district)


async def supervise(context: Context) -> int:
    """One look at everything; returns how many gateways were found silent or newly reported."""
    async with context.work() as work:
        await context.database.lock(work.connection, _LOCK)
        silent = await _find_silent(work)
        reported = 0
        absent = await _absent(work)
        by_area: dict[str, list[dict[str, Any]]] = {}
        for row in absent:
            by_area.setdefault(row["sub_district"], []).append(row)
        for area, rows in sorted(by_area.items()):
            reported += await _report(work, area, rows, silent)
        await _end_outages(work)
        await watch(work)
    return reported


async def _find_silent(work: Work) -> set[str]:
    """Gateways that say they are online and were not heard, by status or data, for too long."""
    since = work.now - work.context.config.supervision.gateway_silent_after_s
    heard = exists().where(ledger.c.gateway_id == gateways.c.id, ledger.c.updated_at >= since)
    silent = gateways.c.online.is_(True), gateways.c.last_seen_at < since, gateways.c.revoked_at.is_(None), ~heard
    rows = await work.all(select(gateways.c.id, gateways.c.last_seen_at).where(*silent).limit(_AT_ONCE))
    for row in rows:
        mine = update(gateways).where(gateways.c.id == row["id"], gateways.c.online.is_(True))
        await work.run(mine.values(online=False, offline_since=row["last_seen_at"]))
    return {row["id"] for row in rows}


async def _absent(work: Work) -> list[dict[str, Any]]:
    """Absent gateways without a report, or with one of their own within the window, locked in order."""
    window = work.now - work.context.config.supervision.area_outage_window_s
    away = gateways.c.online.is_(False), gateways.c.offline_since.is_not(None), gateways.c.revoked_at.is_(None)
    single = gateways.c.reported.not_like(f"{_OUTAGE}%") & (gateways.c.offline_since >= window)
    return await work.all(
        select(*_COLUMNS)
        .join(homes, homes.c.id == gateways.c.home_id)
        .where(*away, or_(gateways.c.reported.is_(None), single))
        .order_by(gateways.c.id)
        .with_for_update(of=gateways)
    )


async def _report(work: Work, area: str, rows: list[dict[str, Any]], silent: set[str]) -> int:
    limits = work.context.config.supervision
    open_ = await work.one(select(outages).where(outages.c.area == area, outages.c.ended_at.is_(None)))
    window = limits.area_outage_window_s
    if open_ is not None:
        since = open_["began_at"] - window
        await _join(work, open_, [row for row in rows if row["offline_since"] >= since])
        rows = [row for row in rows if row["offline_since"] < since]
    else:
        since = work.now - window - limits.will_grace_s
        recent = [row for row in rows if row["offline_since"] >= since]
        if len(recent) >= limits.area_outage_homes and await _is_many(work, area, len(recent)):
            await _begin(work, area, recent)
            rows = [row for row in rows if row["offline_since"] < since]
    reported = 0
    for row in rows:
        cause = "gateway_silent" if row["id"] in silent else "gateway_offline"
        if row["reported"] is None and row["offline_since"] <= work.now - limits.will_grace_s:
            await technical.open_technical(work, row["home_id"], cause, "system")
            await work.run(update(gateways).where(gateways.c.id == row["id"]).values(reported=cause))
            reported += 1
    return reported


async def _is_many(work: Work, area: str, count: int) -> bool:
    total = await work.connection.scalar(
        select(func.count()).select_from(gateways.join(homes)).where(homes.c.sub_district == area)
    )
    return count >= work.context.config.supervision.area_outage_share * int(total or 0)


async def _begin(work: Work, area: str, rows: list[dict[str, Any]]) -> None:
    await ensure_platform(work)
    cause = outage_cause(area)
    await technical.open_technical(work, PLATFORM, cause, "system", "medium")
    mine = incidents.c.home_id == PLATFORM, incidents.c.cause == cause, incidents.c.state != State.CLOSED
    incident = await work.one(select(incidents.c.id).where(*mine))
    assert incident is not None
    began = min(row["offline_since"] for row in rows)
    row = {"id": work.new_id(), "area": area, "incident_id": incident["id"], "began_at": began}
    await work.run(outages.insert().values(**row))
    await _join(work, row, rows)


async def _join(work: Work, outage: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["reported"] is not None:
            await technical.clear_technical(work, row["home_id"], row["reported"], "system")
    for begin in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[begin : begin + _ROWS_AT_ONCE]
        joined = [
            {"outage_id": outage["id"], "home_id": r["home_id"], "gateway_id": r["id"], "since": r["offline_since"]}
            | {"back_at": None}
            for r in some
        ]
        await upsert(work.connection, outage_homes, joined)
        mine = update(gateways).where(gateways.c.id.in_([row["id"] for row in some]))
        await work.run(mine.values(reported=f"{_OUTAGE}{outage['id']}"))
    if rows:
        homes_out = await _out(work, outage["id"])
        await record(work, outage["incident_id"], "outage_grew", "system", homes=homes_out, area=outage["area"])


async def _out(work: Work, outage: str) -> int:
    still = outage_homes.c.outage_id == outage, outage_homes.c.back_at.is_(None)
    return int(await work.connection.scalar(select(func.count()).select_from(outage_homes).where(*still)) or 0)


async def _end_outages(work: Work) -> None:
    """An outage ends when all are back, or most and no more come: those left get an incident each."""
    for outage in await work.all(select(outages).where(outages.c.ended_at.is_(None))):
        of_it = outage_homes.c.outage_id == outage["id"]
        figures = await work.one(
            select(func.count().label("all"), func.count(outage_homes.c.back_at).label("back"),
                   func.max(outage_homes.c.back_at).label("last")).where(of_it)
        )  # fmt: skip
        assert figures is not None
        left = figures["all"] - figures["back"]
        quiet = figures["last"] is not None and figures["last"] < work.now - _END_AFTER_S
        if left and not (quiet and left <= _END_SHARE * figures["all"]):
            continue
        await work.run(update(outages).where(outages.c.id == outage["id"]).values(ended_at=work.now))
        await work.run(update(gateways).where(gateways.c.reported == f"{_OUTAGE}{outage['id']}").values(reported=None))
        await technical.clear_technical(work, PLATFORM, outage_cause(outage["area"]), "system")


async def came_back(work: Work, row: dict[str, Any]) -> None:
    """A gateway (its row before the change, locked) shows that it lives: settle how its absence was reported."""
    reported = row["reported"]
    if reported is not None and reported.startswith(_OUTAGE):
        mine = outage_homes.c.outage_id == reported.removeprefix(_OUTAGE), outage_homes.c.home_id == row["home_id"]
        await work.run(update(outage_homes).where(*mine).values(back_at=work.now))
    elif reported is not None:
        await technical.clear_technical(work, row["home_id"], reported, f"gateway:{row['id']}")
    await unprotected.add(work, row["home_id"], row["offline_since"])


async def homes_of(work: Work, incident_id: str) -> list[dict[str, Any]]:
    """Homes of the outage behind an incident, those still out first; none if there is no outage behind it."""
    columns = homes.c.id, homes.c.address, homes.c.lat, homes.c.lon, outage_homes.c.since, outage_homes.c.back_at
    return await work.all(
        select(*columns)
        .select_from(outage_homes.join(outages).join(homes, homes.c.id == outage_homes.c.home_id))
        .where(outages.c.incident_id == incident_id)
        .order_by(outage_homes.c.back_at.is_not(None), homes.c.id)
    )
