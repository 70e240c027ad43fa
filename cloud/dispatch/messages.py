"""Sends what waits in the outbox: leased by row, tried again by plan, never twice under another id."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import structlog
from sqlalchemy import or_, select, update

from cloud.context import Context, Work
from cloud.db.schema import outbox, timers
from cloud.incidents.events import record
from cloud.incidents.timers import TimerKind
from cloud.notify.webhook import Outcome, SmsSender

log = structlog.get_logger()

_LEASE_S = 30.0
_AT_ONCE = 16
_MAX_RETRY_AFTER_S = 300.0


class MessageSender:
    """The sender of one process; several processes share the outbox by leases."""

    def __init__(self, context: Context, sms: SmsSender) -> None:
        self._context = context
        self._sms = sms
        self.counts: Counter[str] = Counter()
        self.disabled = False
        """The receiver answered 410: it must be configured anew."""

    async def send_due(self) -> int:
        """Send what is due, side by side; returns how many were tried."""
        rows = await self._lease()
        await asyncio.gather(*(self._send(row) for row in rows))
        return len(rows)

    async def _lease(self) -> list[dict[str, Any]]:
        async with self._context.look() as look:
            if await look.one(select(outbox.c.id).where(*_due(look.now)).limit(1)) is None:
                return []
        async with self._context.work() as work:
            statement = select(outbox).where(*_due(work.now)).order_by(outbox.c.due_at).limit(_AT_ONCE)
            rows = await work.all(statement.with_for_update(skip_locked=True))
            lease = update(outbox).where(outbox.c.id.in_([row["id"] for row in rows]))
            await work.run(lease.values(leased_until=work.now + _LEASE_S))
        return rows

    async def _send(self, row: dict[str, Any]) -> None:
        if self.disabled:
            # Nobody may wait for a message that never leaves: it fails at once, visibly, and the ladder goes on.
            outcome = Outcome(False, "the receiver answered 410; configure it anew and restart", disabled=True)
        else:
            outcome = await self._sms.send(row["id"], row["body"], self._context.now())
        async with self._context.work() as work:
            await self._note(work, row, outcome)

    async def _note(self, work: Work, row: dict[str, Any], outcome: Outcome) -> None:
        mine = update(outbox).where(outbox.c.id == row["id"])
        attempts = row["attempts"] + 1
        if outcome.ok:
            self.counts["sent"] += 1
            values = {"attempts": attempts, "sent_at": work.now, "leased_until": None, "last_error": None}
            await work.run(mine.where(outbox.c.state == "waiting").values(state="sent", **values))
            return
        self.counts["refused"] += 1
        log.warning("message_not_sent", message=row["id"], attempt=attempts, detail=outcome.detail)
        plan = self._context.config.notify.retry_s
        if outcome.disabled:
            self.disabled = True
        if not outcome.disabled and attempts < len(plan):
            wait = min(outcome.retry_after_s or 0.0, _MAX_RETRY_AFTER_S)
            values = {"attempts": attempts, "leased_until": None, "last_error": outcome.detail[:300]}
            await work.run(mine.values(due_at=work.now + max(wait, plan[attempts]), **values))
            return
        self.counts["failed"] += 1
        values = {"attempts": attempts, "leased_until": None, "last_error": outcome.detail[:300]}
        await work.run(mine.values(state="failed", **values))
        if row["incident_id"] is not None:
            await record(work, row["incident_id"], "message_failed", "system", to=row["recipient"])
            # The family cannot be reached: do not wait for the next step of the ladder.
            ladder = (
                timers.c.incident_id == row["incident_id"],
                timers.c.kind == TimerKind.LADDER,
                timers.c.state == "waiting",
                timers.c.due_at > work.now,
            )
            if row["template"] == "contact_alarm":
                await work.run(update(timers).where(*ladder).values(due_at=work.now))


def _due(now: float) -> tuple[Any, ...]:
    free = or_(outbox.c.leased_until.is_(None), outbox.c.leased_until < now)
    return outbox.c.state == "waiting", outbox.c.due_at <= now, free
