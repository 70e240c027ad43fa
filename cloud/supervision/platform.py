"""The platform watches itself: which processes live, and what they say is wrong."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from sqlalchemy import delete, func, select

from cloud.context import Context, Work
from cloud.db.schema import homes, workers
from cloud.db.upsert import insert_new, upsert
from cloud.incidents import technical
from cloud.roles import expand

PLATFORM = "platform"
"""The home in which incidents of the platform itself, and of whole areas, stand."""
_FORGET_S = 7 * 86_400.0


class Heartbeat:
    """One process's row."""

    def __init__(self, context: Context, roles: Iterable[str]) -> None:
        self._context = context
        self.name = f"{socket.gethostname()}:{os.getpid()}:{context.rng.getrandbits(32):08x}"
        self._roles = ",".join(sorted(roles))
        self._started_at = context.now()

    async def beat(self, problems: list[str], *, stopped: bool = False) -> None:
        """Say that it lives, and what is wrong. Raises SQLAlchemyError."""
        async with self._context.work() as work:
            row = {
                "name": self.name,
                "roles": self._roles,
                "version": version("anju"),
                "started_at": self._started_at,
                "seen_at": work.now,
                "stopped_at": work.now if stopped else None,
                "problems": problems,
            }
            await upsert(work.connection, workers, [row])


async def watch(work: Work) -> None:
    """Open and clear the incidents of the platform: a role that nobody fills, a problem that every worker has."""
    limit = work.context.config.supervision.worker_silent_after_s
    rows = await work.all(select(workers))
    alive = [row for row in rows if row["stopped_at"] is None and row["seen_at"] > work.now - limit]
    wanted: dict[str, bool] = {}
    for role in {role for row in rows for role in _roles(row)}:
        fills = [row for row in rows if role in _roles(row)]
        # One that was stopped counts for a while: a restart is no incident.
        wanted[f"role_down:{role}"] = max(row["seen_at"] for row in fills) <= work.now - limit
    for cause in ("timeseries_unavailable", "broker_unavailable"):
        wanted[cause] = any(cause in row["problems"] for row in alive)
    for cause, holds in sorted(wanted.items()):
        if holds:
            await ensure_platform(work)
            await technical.open_technical(work, PLATFORM, cause, "system", "medium")
        else:
            await technical.clear_technical(work, PLATFORM, cause, "system")
    await work.run(delete(workers).where(workers.c.seen_at < work.now - _FORGET_S))


async def ensure_platform(work: Work) -> None:
    """Make the platform's own home, in the middle of the district."""
    found = await work.one(select(func.avg(homes.c.lat).label("lat"), func.avg(homes.c.lon).label("lon")))
    place = {name: float((found or {}).get(name) or 0.0) for name in ("lat", "lon")}
    row = {"id": PLATFORM, "sub_district": "", "address": "平台 Platform", "access_note": "", **place}
    await insert_new(work.connection, homes, row)


async def live_roles(work: Work) -> set[str]:
    """Roles that a living process fills."""
    limit = work.context.config.supervision.worker_silent_after_s
    rows = await work.all(
        select(workers.c.roles).where(workers.c.stopped_at.is_(None), workers.c.seen_at > work.now - limit)
    )
    return {role for row in rows for role in _roles(row)}


def _roles(row: dict[str, Any]) -> frozenset[str]:
    """A process of an earlier version names its roles otherwise; such a row stays for a week."""
    return expand(row["roles"].split(","))
