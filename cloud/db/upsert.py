"""INSERT … ON CONFLICT for both databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


async def upsert(connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`, or update the other columns given where the primary key exists. All rows have the same keys."""
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    values = [name for name in rows[0] if name not in keys]
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table)
    if values:
        done = statement.on_conflict_do_update(index_elements=keys, set_={n: statement.excluded[n] for n in values})
    else:
        done = statement.on_conflict_do_nothing(index_elements=keys)
    await connection.execute(done, [dict(row) for row in rows])


async def insert_new(connection: AsyncConnection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert `row`; False if its primary key exists."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    keys = list(table.primary_key)
    statement = insert(table).values(dict(row)).on_conflict_do_nothing(index_elements=[c.name for c in keys])
    # A driver may not count the rows of an INSERT; what it returns is certain.
    return (await connection.execute(statement.returning(keys[0]))).first() is not None
