"""What the contract suites of incidents and dispatch share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from cloud.context import Context
from cloud.db.schema import outbox
from cloud.dispatch.timers import run_due
from cloud.incidents.actions import Actor
from cloud.incidents.intake import AlarmIntake
from cloud.incidents.queries import list_incidents
from protocols.wire import AlarmState
from tests.conftest import ManualClock
from tests.support.district import GATEWAY, alarm

ME = Actor("u-demo", "值班员 演示")
CHIEF = Actor("u-chief", "班长 演示")


async def run_timers(context: Context) -> None:
    """Run every timer that is due."""
    while await run_due(context):
        pass


async def the_incident(context: Context, state: str = "open") -> dict[str, Any]:
    """The only incident of a state."""
    async with context.look() as work:
        (found,) = await list_incidents(work, state=state)
    return found


async def rows_of(context: Context, table: Any, *where: Any) -> list[dict[str, Any]]:
    """Rows of a table."""
    async with context.look() as work:
        return await work.all(select(table).where(*where))


async def raise_alarm(context: Context, clock: ManualClock, seq: int = 1, **options: Any) -> dict[str, Any]:
    """A raised alarm, taken in and escalated; returns its incident."""
    await AlarmIntake(context).accept(GATEWAY, alarm(AlarmState.RAISED, seq, clock.now, **options))
    await run_timers(context)
    return await the_incident(context)


async def messages_to(context: Context) -> list[tuple[str, str]]:
    """Recipient and template of every message written."""
    return sorted((r["recipient"], r["template"]) for r in await rows_of(context, outbox))
