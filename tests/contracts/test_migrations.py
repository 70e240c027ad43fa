"""A database of an older version, with what a district has in it, brought to the newest and back."""

from __future__ import annotations

from alembic import command
from sqlalchemy import text

from cloud.config import CloudConfig
from cloud.config import Database as DatabaseConfig
from cloud.context import Context
from cloud.db.engine import Database
from cloud.db.migrate import _config, current_revision, upgrade, wanted_revision
from cloud.ingest.ledger import stored_ranges

_EPOCH = "ab" * 8
_OLD = (
    "INSERT INTO homes (id, sub_district, address, lat, lon) VALUES ('h-1', 'lianhua', 'Somewhere 1', 22.5, 114.0)",
    "INSERT INTO gateways (id, home_id, online, last_seen_at) VALUES ('gw-1', 'h-1', false, 1000), "
    "('gw-2', 'h-1', true, 2000)",
    "INSERT INTO ledger (gateway_id, epoch, lane, first, last, updated_at)"
    f" VALUES ('gw-1', '{_EPOCH}', 'live', 1, 5, 1),"
    f" ('gw-1', '{_EPOCH}', 'live', 9, 9, 7), ('gw-1', '{_EPOCH}', 'backlog', 2, 3, 4)",
)
_KEPT = {(_EPOCH, "live"): [(1, 5), (9, 9)], (_EPOCH, "backlog"): [(2, 3)]}


async def _to(database: Database, revision: str, *, down: bool = False) -> None:
    step = command.downgrade if down else command.upgrade
    async with database.transaction() as connection:
        await connection.run_sync(lambda c: step(_config(c), revision))


async def test_an_older_database_keeps_what_it_has(database_url: str) -> None:
    database = Database(database_url)
    context = Context(CloudConfig(database=DatabaseConfig(url=database_url)), database)
    try:
        await _to(database, "0001")
        async with database.transaction() as connection:
            for statement in _OLD:
                await connection.execute(text(statement))
        assert await upgrade(database) == ("0001", wanted_revision())
        assert await upgrade(database) == (wanted_revision(), wanted_revision())
        async with context.look() as look:
            assert await stored_ranges(look, "gw-1") == _KEPT
        async with database.reading() as connection:
            rows = (await connection.execute(text("SELECT id, offline_since FROM gateways ORDER BY id"))).all()
        assert [tuple(row) for row in rows] == [("gw-1", 1000.0), ("gw-2", None)]
        await _to(database, "0001", down=True)
        assert await current_revision(database) == "0001"
        async with database.reading() as connection:
            rows = (await connection.execute(text("SELECT lane, first, last FROM ledger ORDER BY lane, first"))).all()
        assert [tuple(row) for row in rows] == [("backlog", 2, 3), ("live", 1, 5), ("live", 9, 9)]
    finally:
        await database.close()
