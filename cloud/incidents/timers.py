"""Timers as rows, written in the transaction that needs them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import select, update

from cloud.context import Work
from cloud.db.schema import timers


class TimerKind(StrEnum):
    """What is to happen when the time has come."""

    RAISE_PENDING = "raise_pending"
    LADDER = "ladder"
    CLAIM_LEASE = "claim_lease"


async def schedule(
    work: Work,
    kind: TimerKind,
    due_at: float,
    *,
    incident_id: str | None = None,
    alarm_id: str | None = None,
    gateway_id: str | None = None,
    data: dict[str, Any] | None = None,
) -> None:
    """Write one timer."""
    row = {"id": work.new_id(), "kind": kind, "due_at": due_at, "state": "waiting", "data": data or {}}
    await work.run(timers.insert().values(**row, incident_id=incident_id, alarm_id=alarm_id, gateway_id=gateway_id))


async def cancel(
    work: Work,
    *kinds: TimerKind,
    incident_id: str | None = None,
    alarm_id: str | None = None,
    gateway_id: str | None = None,
) -> None:
    """Cancel the waiting timers of these kinds that belong to what is named."""
    statement = update(timers).where(timers.c.state == "waiting", timers.c.kind.in_(kinds))
    for column, value in (("incident_id", incident_id), ("alarm_id", alarm_id), ("gateway_id", gateway_id)):
        if value is not None:
            statement = statement.where(timers.c[column] == value)
    await work.run(statement.values(state="cancelled", done_at=work.now))


async def arm_ladder(work: Work, incident_id: str, priority: str, *, since: float) -> None:
    """Escalation of an incident nobody holds: its first step, counted from `since`; each step arms the next."""
    steps = work.context.config.dispatch.ladders.get(priority, ())  # type: ignore[call-overload]
    await cancel(work, TimerKind.LADDER, incident_id=incident_id)
    first = steps[0].after_s if steps else work.context.config.dispatch.repeat_s
    data = {"step": 0, "since": since}
    await schedule(work, TimerKind.LADDER, since + first, incident_id=incident_id, data=data)


async def renew_ladder(work: Work, incident_id: str, priority: str, *, rose: bool) -> None:
    """A further alarm in an incident nobody holds: a ladder that has come to its end, or is of a lower priority, begins
    anew; one that still climbs goes on, so that a row of alarms cannot put off the supervisors.
    """
    steps = work.context.config.dispatch.ladders.get(priority, ())  # type: ignore[call-overload]
    climbing = (timers.c.incident_id == incident_id, timers.c.kind == TimerKind.LADDER, timers.c.state == "waiting")
    waiting = await work.one(select(timers.c.data).where(*climbing).limit(1))
    if rose or waiting is None or int(waiting["data"]["step"]) >= len(steps):
        await arm_ladder(work, incident_id, priority, since=work.now)
