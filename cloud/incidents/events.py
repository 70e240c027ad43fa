"""The event log that feeds every view, in the order of its positions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from sqlalchemy import func, select

from cloud.context import Context, Work
from cloud.db.schema import incident_events as table

_LOCK = 7_002


async def record(work: Work, incident_id: str | None, kind: str, actor: str, /, **data: Any) -> int:
    """Append one event; returns its position.

    Positions are given under a lock held until the commit, so that whoever reads up to one has seen all before it.
    """
    await work.context.database.lock(work.connection, _LOCK)
    last = await work.connection.scalar(select(func.max(table.c.position)))
    position = int(last or 0) + 1
    values = {"position": position, "incident_id": incident_id, "at": work.now, "kind": kind, "actor": actor}
    await work.run(table.insert().values(**values, data=data))
    return position


class EventFeed:
    """Follows the log from a position on."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def latest_position(self) -> int:
        """Position of the newest event, 0 if there is none."""
        async with self._context.look() as work:
            return int(await work.connection.scalar(select(func.max(table.c.position))) or 0)

    async def read_after(self, position: int, limit: int = 500) -> list[dict[str, Any]]:
        """Events after `position`, oldest first."""
        async with self._context.look() as work:
            return await work.all(
                select(table).where(table.c.position > position).order_by(table.c.position).limit(limit)
            )

    async def follow(self, position: int, idle_s: float) -> AsyncGenerator[list[dict[str, Any]]]:
        """Batches of events as they come; an empty one whenever `idle_s` passed without any."""
        loop = asyncio.get_running_loop()
        quiet_until = loop.time() + idle_s
        while True:
            changed = asyncio.ensure_future(self._context.changes.wait())
            try:
                found = await self.read_after(position)
                if not found and loop.time() < quiet_until:
                    await changed
                    continue
            finally:
                changed.cancel()
            position = found[-1]["position"] if found else position
            quiet_until = loop.time() + idle_s
            yield found
