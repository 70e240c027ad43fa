"""What every part of the cloud is handed: configuration, database, clock, and the bell that wakes the loops."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.config import CloudConfig
from cloud.db.changes import Changes
from cloud.db.engine import Database
from protocols.identifiers import uuid7


@dataclass(frozen=True, slots=True)
class Work:
    """One writing transaction; `now` is the same for everything it does."""

    connection: AsyncConnection
    now: float
    context: Context

    def new_id(self) -> str:
        """A UUIDv7."""
        return uuid7(self.now, self.context.rng)

    async def run(self, statement: Executable, rows: list[dict[str, Any]] | None = None) -> int:
        """Execute; returns how many rows it touched."""
        result = await self.connection.execute(statement, rows)
        return int(getattr(result, "rowcount", 0))

    async def one(self, statement: Executable) -> dict[str, Any] | None:
        """The first row as a dict, or None."""
        row = (await self.connection.execute(statement)).mappings().first()
        return dict(row) if row is not None else None

    async def all(self, statement: Executable) -> list[dict[str, Any]]:
        """All rows as dicts."""
        return [dict(row) for row in (await self.connection.execute(statement)).mappings()]


@dataclass(frozen=True, slots=True)
class Context:
    """Shared by all roles of one process."""

    config: CloudConfig
    database: Database
    now: Callable[[], float] = time.time
    rng: random.Random = field(default_factory=random.SystemRandom)
    changes: Changes = field(default_factory=Changes)

    @asynccontextmanager
    async def work(self) -> AsyncIterator[Work]:
        """A writing transaction; wakes the loops once it is committed."""
        async with self.database.transaction() as connection:
            yield Work(connection, self.now(), self)
        self.changes.notify()

    @asynccontextmanager
    async def look(self) -> AsyncIterator[Work]:
        """A reading transaction."""
        async with self.database.reading() as connection:
            yield Work(connection, self.now(), self)
