"""Runs the timers that are due, each in one transaction that looks at the present state first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from sqlalchemy import select, update

from cloud.context import Context, Work
from cloud.db.schema import alarms, timers
from cloud.dispatch.ladder import climb
from cloud.incidents import store
from cloud.incidents.intake import raise_alarm
from cloud.incidents.states import State, Step
from cloud.incidents.timers import TimerKind, schedule
from protocols.wire import AlarmState

log = structlog.get_logger()

_AGAIN_S = 5.0

Handler = Callable[[Work, dict[str, Any]], Awaitable[None]]


async def _raise_pending(work: Work, timer: dict[str, Any]) -> None:
    """Neither cancel nor raise came from the home in time."""
    row = await work.one(select(alarms).where(alarms.c.alarm_id == timer["alarm_id"]).with_for_update())
    if row is None or row["state"] != AlarmState.PENDING:
        return
    await work.run(update(alarms).where(alarms.c.alarm_id == row["alarm_id"]).values(state=AlarmState.RAISED))
    await raise_alarm(work, row, by="cloud")
    log.warning("alarm_raised_by_cloud", alarm_id=row["alarm_id"], home=row["home_id"])


async def _claim_lease(work: Work, timer: dict[str, Any]) -> None:
    """The operator's browser has stopped renewing: back into the queue."""
    incident = await store.load(work, timer["incident_id"])
    if incident["claimed_by"] is None or incident["state"] == State.CLOSED:
        return
    if incident["claim_expires_at"] is not None and incident["claim_expires_at"] > work.now:
        await schedule(work, TimerKind.CLAIM_LEASE, incident["claim_expires_at"], incident_id=incident["id"])
        return
    state = store.after(incident, Step.LEASE_EXPIRES)
    await store.unclaim(work, incident, state, "claim_expired", f"user:{incident['claimed_by']}")


HANDLERS: dict[str, Handler] = {
    TimerKind.RAISE_PENDING: _raise_pending,
    TimerKind.LADDER: climb,
    TimerKind.CLAIM_LEASE: _claim_lease,
}


async def run_due(context: Context) -> int:
    """Run one due timer; returns 1, or 0 if none is due. A failing one is tried again later and never lost."""
    failed: tuple[str, str] | None = None
    try:
        async with context.work() as work:
            timer = await work.one(
                select(timers)
                .where(timers.c.state == "waiting", timers.c.due_at <= work.now)
                .order_by(timers.c.due_at)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if timer is None:
                return 0
            failed = (timer["id"], timer["kind"])
            done = update(timers).where(timers.c.id == timer["id"])
            await work.run(done.values(state="done", done_at=work.now))
            await HANDLERS[timer["kind"]](work, timer)
    except Exception as error:
        if failed is None:
            raise
        log.critical("timer_failed", timer=failed[0], kind=failed[1], error=repr(error))
        async with context.work() as work:
            values = {"due_at": work.now + _AGAIN_S, "attempts": timers.c.attempts + 1, "last_error": repr(error)[:500]}
            await work.run(update(timers).where(timers.c.id == failed[0]).values(**values))
    return 1


async def next_due(context: Context) -> float | None:
    """When the next timer is due; None if none waits."""
    async with context.look() as look:
        row = await look.one(
            select(timers.c.due_at).where(timers.c.state == "waiting").order_by(timers.c.due_at).limit(1)
        )
    return float(row["due_at"]) if row is not None else None
