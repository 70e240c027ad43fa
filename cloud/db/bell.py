"""Carries the bell of `Changes` between processes, by PostgreSQL's LISTEN and NOTIFY.

Without it another process sees a change at its next poll, a quarter of a second later at most; with it, at once. A
notification that is lost costs that quarter of a second and nothing else, so NOTIFY stays out of the transactions
(inside, it would make all commits of the database wait in one line) and goes by a connection of its own.
"""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import structlog
from sqlalchemy.engine import make_url

from cloud.db.changes import Changes

log = structlog.get_logger()

_CHANNEL = "anju_changes"
_SPACING_S = 0.01
_RETRY_S = 5.0


class Bell:
    """Runs until cancelled; on SQLite, where there is nothing to carry it, `run` only waits."""

    def __init__(self, url: str, changes: Changes) -> None:
        self._url = make_url(url)
        self._changes = changes
        self.connected = False

    async def run(self) -> None:
        """Carry the bell both ways; while the database is away polling alone goes on."""
        if self._url.get_backend_name() != "postgresql":
            await asyncio.Event().wait()
        while True:
            try:
                await self._carry()
            except (psycopg.Error, OSError) as error:
                log.warning("bell_waits", error=str(error).partition("\n")[0])
            self.connected = False
            await asyncio.sleep(_RETRY_S)

    async def _carry(self) -> None:
        async with await self._connect() as hearing, await self._connect() as ringing:
            await hearing.execute(f"LISTEN {_CHANNEL}")
            self.connected = True
            tasks = {asyncio.create_task(self._hear(hearing, ringing)), asyncio.create_task(self._ring(ringing))}
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        text = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        return await psycopg.AsyncConnection.connect(text, autocommit=True, application_name="anju-bell")

    async def _hear(self, hearing: psycopg.AsyncConnection[Any], ringing: psycopg.AsyncConnection[Any]) -> None:
        own = ringing.info.backend_pid
        async for note in hearing.notifies():
            if note.pid != own:
                self._changes.wake()
        raise psycopg.OperationalError("the connection has ended")

    async def _ring(self, ringing: psycopg.AsyncConnection[Any]) -> None:
        """However many changes there are, one NOTIFY each hundredth of a second."""
        while True:
            await self._changes.committed()
            await ringing.execute(f"NOTIFY {_CHANNEL}")
            await asyncio.sleep(_SPACING_S)
