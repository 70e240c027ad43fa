"""The migrations lead to the tables the code uses, on either database, and back to nothing."""

from __future__ import annotations

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect

from cloud.context import Context
from cloud.db.migrate import _config, current_revision, wanted_revision
from cloud.db.schema import metadata


def _differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


def _tables_after_downgrade(connection: Connection) -> set[str]:
    command.downgrade(_config(connection), "base")
    return set(inspect(connection).get_table_names())


async def test_schema_is_what_the_code_uses(context: Context) -> None:
    """No table, column or index is missing, and none is left over."""
    assert await current_revision(context.database) == wanted_revision()
    async with context.database.reading() as connection:
        assert await connection.run_sync(_differences) == []


async def test_downgrade_leaves_nothing(context: Context) -> None:
    """Everything the first revision made is gone again."""
    async with context.database.transaction() as connection:
        assert await connection.run_sync(_tables_after_downgrade) <= {"alembic_version"}
