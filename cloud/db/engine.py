"""Connections: one class that opens SQLite or PostgreSQL alike and runs transactions that either commit whole or
not at all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as DatabaseTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

TRANSIENT = (OperationalError, InterfaceError, DatabaseTimeout, OSError)
"""The database is away, locked or full: the same work may succeed later. Any other error is the work's own fault."""


class Database:
    """A pool of connections to `url` (sqlite+aiosqlite:///PATH or postgresql+psycopg://…)."""

    def __init__(self, url: str) -> None:
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self.engine: AsyncEngine = create_async_engine(url, pool_pre_ping=not self.is_sqlite)
        self._reads = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _configure_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A writing transaction: BEGIN IMMEDIATE on SQLite, so that two writers queue instead of failing."""
        async with self.engine.connect() as connection:
            await connection.execution_options(anju_begin="IMMEDIATE")
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Statements that only read; never blocks a writer. On SQLite all of them see the same state; on PostgreSQL
        each sees its own, as in any transaction at its default level, so that BEGIN and ROLLBACK would buy nothing
        and cost two round trips.
        """
        if self.is_sqlite:
            async with self.engine.connect() as connection, connection.begin():
                yield connection
        else:
            async with self._reads.connect() as connection:
                yield connection

    async def lock(self, connection: AsyncConnection, name: int) -> None:
        """Hold the advisory lock `name` until the transaction ends (SQLite's one writer holds it anyway)."""
        if not self.is_sqlite:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:name)"), {"name": name})

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # SQLAlchemy, not the driver, opens transactions (see _begin), so that BEGIN IMMEDIATE is ours to say.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Any) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('anju_begin', 'DEFERRED')}")
