"""A gateway that keeps sending what cannot be taken becomes a technical incident; it clears when it has stopped."""

from __future__ import annotations

from sqlalchemy import func, select

from cloud.context import Context
from cloud.db.schema import gateways, incidents, quarantine
from cloud.incidents import technical
from cloud.incidents.states import State

CAUSE = "messages_rejected"
_HOUR_S = 3_600.0


async def watch_rejections(context: Context) -> int:
    """Compare the last hour's quarantine with what is open; returns how many gateways are over the limit."""
    limit = context.config.supervision.rejected_per_hour
    async with context.look() as look:
        recent = quarantine.c.received_at > look.now - _HOUR_S, quarantine.c.gateway_id.is_not(None)
        counts = await look.all(
            select(gateways.c.home_id, func.count().label("n"))
            .select_from(quarantine.join(gateways, gateways.c.id == quarantine.c.gateway_id))
            .where(*recent)
            .group_by(gateways.c.home_id)
        )
        open_ = (
            incidents.c.cause == CAUSE,
            incidents.c.state != State.CLOSED,
            incidents.c.condition_cleared_at.is_(None),
        )
        known = {row["home_id"] for row in await look.all(select(incidents.c.home_id).where(*open_))}
    by_home = {row["home_id"]: row["n"] for row in counts}
    over = {home for home, n in by_home.items() if n >= limit}
    calm = {home for home in known if by_home.get(home, 0) <= limit // 2}
    if over - known or calm:
        async with context.work() as work:
            for home in sorted(over - known):
                await technical.open_technical(work, home, CAUSE, "system")
            for home in sorted(calm):
                await technical.clear_technical(work, home, CAUSE, "system")
    return len(over)
