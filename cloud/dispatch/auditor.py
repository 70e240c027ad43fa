"""Checks the promise that an alarm always has an owner, and mends what breaks it."""

from __future__ import annotations

from collections import Counter

import structlog
from sqlalchemy import ColumnElement, exists, select

from cloud.context import Context
from cloud.db.schema import alarms, incidents, timers
from cloud.incidents import timers as timer_rows
from cloud.incidents.events import record
from cloud.incidents.states import State
from cloud.incidents.timers import TimerKind
from protocols.wire import AlarmState

log = structlog.get_logger()


async def audit(context: Context, counts: Counter[str]) -> int:
    """Arm a timer for every open incident and pending alarm that has none; returns how many had none."""
    repaired = 0
    async with context.work() as work:

        def waiting(kind: TimerKind) -> list[ColumnElement[bool]]:
            return [timers.c.kind == kind, timers.c.state == "waiting"]

        held = exists().where(timers.c.incident_id == incidents.c.id, *waiting(TimerKind.CLAIM_LEASE))
        climbing = exists().where(timers.c.incident_id == incidents.c.id, *waiting(TimerKind.LADDER))
        open_ = incidents.c.state != State.CLOSED
        for row in await work.all(select(incidents).where(open_, incidents.c.claimed_by.is_(None), ~climbing)):
            await timer_rows.arm_ladder(work, row["id"], row["priority"], since=work.now)
            await record(work, row["id"], "audit_repaired", "system", missing="ladder")
            repaired += 1
        for row in await work.all(select(incidents).where(open_, incidents.c.claimed_by.is_not(None), ~held)):
            due = row["claim_expires_at"] or work.now
            await timer_rows.schedule(work, TimerKind.CLAIM_LEASE, due, incident_id=row["id"])
            await record(work, row["id"], "audit_repaired", "system", missing="claim_lease")
            repaired += 1
        decided = exists().where(timers.c.alarm_id == alarms.c.alarm_id, *waiting(TimerKind.RAISE_PENDING))
        pending = alarms.c.state == AlarmState.PENDING, alarms.c.incident_id.is_(None)
        for row in await work.all(select(alarms).where(*pending, ~decided)):
            await timer_rows.schedule(work, TimerKind.RAISE_PENDING, work.now, alarm_id=row["alarm_id"])
            repaired += 1
    if repaired:
        counts["audit_repaired"] += repaired
        log.critical("audit_repaired", count=repaired)
    return repaired
