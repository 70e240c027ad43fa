"""The dispatch role: timers, messages, supervision of silence, the auditor."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from cloud.context import Context
from cloud.dispatch.auditor import audit
from cloud.dispatch.messages import MessageSender
from cloud.dispatch.timers import next_due, run_due
from cloud.notify.webhook import SmsSender
from cloud.supervision.outages import supervise

log = structlog.get_logger()

_AUDIT_S = 30.0
_SILENCE_S = 2.0
_IDLE_S = 0.25
_AFTER_ERROR_S = 1.0


class DispatchWorker:
    """Runs until cancelled; any number may share one database."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sms = SmsSender(context.config.notify)
        self.messages = MessageSender(context, self._sms)
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Run all loops."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._loop("timers", self._timers))
                group.create_task(self._loop("messages", self._messages))
                group.create_task(self._loop("silence", self._silence))
                group.create_task(self._loop("audit", self._audit))
        finally:
            await self._sms.close()

    async def _loop(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat `step`; while the database is away, keep trying."""
        while True:
            try:
                await step()
            except (SQLAlchemyError, OSError) as error:
                self.counts[f"{name}_error"] += 1
                log.warning("dispatch_waits", loop=name, error=str(error).partition("\n")[0])
                await asyncio.sleep(_AFTER_ERROR_S)

    async def _timers(self) -> None:
        due = await next_due(self._context)
        left = _IDLE_S if due is None else due - self._context.now()
        ran = left <= 0 and await run_due(self._context)
        if ran:
            self.counts["timers"] += 1
        else:  # one that is due and did not run is in another process's hands
            await self._context.changes.wait(min(_IDLE_S, left) if left > 0 else _IDLE_S)

    async def _messages(self) -> None:
        if not await self.messages.send_due():
            await self._context.changes.wait()

    async def _silence(self) -> None:
        self.counts["gateways_reported"] += await supervise(self._context)
        await asyncio.sleep(_SILENCE_S)

    async def _audit(self) -> None:
        await asyncio.sleep(_AUDIT_S)
        await audit(self._context, self.counts)
