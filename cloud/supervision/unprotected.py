"""Minutes without protection, by home and month: from a gateway's silence to its return."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, text

from cloud.context import Work
from cloud.db.schema import gateways, homes, unprotected
from cloud.rollup.windows import month_begin, month_of

_ADD = text(
    "INSERT INTO unprotected (home_id, month, minutes) VALUES (:home, :month, :minutes)"
    " ON CONFLICT (home_id, month) DO UPDATE SET minutes = unprotected.minutes + excluded.minutes"
)


def months_between(since: float, until: float, zone: ZoneInfo) -> dict[str, float]:
    """Minutes from `since` to `until` by local month."""
    found: dict[str, float] = {}
    while since < until:
        month = month_of(since, zone)
        year, number = int(month[:4]), int(month[5:])
        following = f"{year + number // 12:04d}-{number % 12 + 1:02d}"
        end = min(until, month_begin(following, zone))
        found[month] = found.get(month, 0.0) + (end - since) / 60
        since = end
    return found


async def add(work: Work, home: str, since: float | None) -> None:
    """A gateway is back that was away since `since`."""
    if since is None:
        return
    zone = ZoneInfo(work.context.config.supervision.timezone)
    rows = [{"home": home, "month": m, "minutes": n} for m, n in months_between(since, work.now, zone).items()]
    if rows:
        await work.connection.execute(_ADD, rows)


async def report(work: Work, month: str, area: str | None = None) -> list[dict[str, Any]]:
    """Homes (of one area, if given) with minutes in a month, those still away counted until now; the longest first.

    Raises ValueError unless `month` is YYYY-MM.
    """
    zone = ZoneInfo(work.context.config.supervision.timezone)
    month_begin(month, zone)
    minutes: dict[str, float] = {}
    for row in await work.all(select(unprotected).where(unprotected.c.month == month)):
        minutes[row["home_id"]] = row["minutes"]
    away = select(gateways.c.home_id, func.min(gateways.c.offline_since).label("since"))
    away = away.where(gateways.c.offline_since.is_not(None), gateways.c.revoked_at.is_(None)).group_by(
        gateways.c.home_id
    )
    for row in await work.all(away):
        part = months_between(row["since"], work.now, zone).get(month)
        if part:
            minutes[row["home_id"]] = minutes.get(row["home_id"], 0.0) + part
    places = {
        row["id"]: row
        for row in await work.all(select(homes.c.id, homes.c.sub_district, homes.c.address))
        if row["id"] in minutes and area in (None, row["sub_district"])
    }
    return [
        {"home_id": home, "month": month, "minutes": round(n, 1)}
        | {key: places[home][key] for key in ("sub_district", "address")}
        for home, n in sorted(minutes.items(), key=lambda entry: (-entry[1], entry[0]))
        if home in places
    ]
