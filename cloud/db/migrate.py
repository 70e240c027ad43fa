"""Brings a database to the schema of this version (Alembic); safe to run again and by several processes at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from cloud.db.engine import Database

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_001


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def wanted_revision() -> str:
    """The newest revision this version knows."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


async def upgrade(database: Database) -> tuple[str | None, str]:
    """Upgrade to the newest revision; returns the revisions before and after."""
    before = await current_revision(database)
    wanted = wanted_revision()
    if before != wanted:
        async with database.transaction() as connection:
            if not database.is_sqlite:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:name)"), {"name": _LOCK})
            await connection.run_sync(lambda c: command.upgrade(_config(c), "head"))
    return before, wanted


async def current_revision(database: Database) -> str | None:
    """The revision the database has; None if it is empty."""
    async with database.reading() as connection:
        return await connection.run_sync(lambda c: MigrationContext.configure(c).get_current_revision())
