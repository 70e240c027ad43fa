"""The spool's tables as numbered steps; every file, new or old, has gone through the same ones."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from edge.files import sync_folder
from edge.spool.errors import SpoolError, damaged, spool_error

_CACHE_KB = 512
"""SQLite would keep 2 MB of pages. The gateway reads little of what it writes, and memory is short."""

LOG_BYTES = 4_000_000
"""How long the write-ahead log may grow before it is moved into the file (SpoolFile.shorten_log); a longer one is cut
to this when it begins anew. Up to here it is written in place, which costs the card no news of its length.
"""

STEPS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE sequences (lane TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE messages (lane TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (lane, seq))"
        " WITHOUT ROWID",
        "CREATE TABLE readings (id INTEGER PRIMARY KEY, device TEXT NOT NULL, metric TEXT NOT NULL, at REAL NOT NULL,"
        " value BLOB NOT NULL, type TEXT NOT NULL)",
        "CREATE TABLE open_alarms (alarm_id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE seen_commands (id TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID",
    ),
    (
        "CREATE TABLE shed (reason TEXT PRIMARY KEY, first REAL NOT NULL, last REAL NOT NULL, messages INTEGER NOT"
        " NULL, readings INTEGER NOT NULL) WITHOUT ROWID",
        "ALTER TABLE messages ADD COLUMN thinned INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE readings ADD COLUMN run TEXT",
        "ALTER TABLE readings ADD COLUMN base REAL",
    ),
    (
        # Sums are NULL in rows of older versions; `mirror` is the negative of `last`.
        "ALTER TABLE messages ADD COLUMN sum INTEGER",
        "ALTER TABLE readings ADD COLUMN sum INTEGER",
        "ALTER TABLE open_alarms ADD COLUMN sum INTEGER",
        "ALTER TABLE sequences ADD COLUMN mirror INTEGER",
        "UPDATE sequences SET mirror = -last",
    ),
)
"""Step i leads from schema version i to i + 1. A step that has been released never changes."""


def connect(path: Path) -> sqlite3.Connection:
    """Open or create the file and bring it to the newest version, all or nothing. Raises SpoolError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except (sqlite3.Error, OSError) as error:
        raise spool_error(path, error) from error
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute(f"PRAGMA cache_size=-{_CACHE_KB}")
        # SQLite would move the log as part of whichever transaction makes it long, an alarm's too.
        db.execute("PRAGMA wal_autocheckpoint=0")
        db.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(STEPS) and _tables(db) == _tables_of(len(STEPS)):
            raise damaged(path, "the version of the tables")
        if version > len(STEPS):
            raise SpoolError(f"{path}: written by a newer version ({version}); update this gateway")
        if version < len(STEPS):
            migrate(db, version)
            sync_folder(path.parent)
        if _tables(db) != _tables_of(len(STEPS)):  # a flipped bit can leave words that SQLite still understands
            raise damaged(path, "one of its tables")
    except (sqlite3.Error, UnicodeDecodeError) as error:
        db.close()
        raise spool_error(path, error) from error
    except BaseException:
        db.close()
        raise
    return db


def _tables(db: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Each column as SQLite understands it. The words themselves, and the order, depend on a file's past."""
    return db.execute(
        'SELECT t.name, c.name, c.type, c."notnull", c.dflt_value, c.pk FROM sqlite_schema AS t,'
        " pragma_table_info(t.name) AS c WHERE t.type = 'table' ORDER BY t.name, c.name"
    ).fetchall()


def are_tables_of_a_spool(db: sqlite3.Connection) -> bool:
    """Whether the tables are those of some version. Raises sqlite3.Error, UnicodeDecodeError."""
    return any(_tables(db) == _tables_of(version) for version in range(1, len(STEPS) + 1))


def _tables_of(version: int) -> list[tuple[object, ...]]:
    template = sqlite3.connect(":memory:", isolation_level=None)
    migrate(template, 0, version)
    tables = _tables(template)
    template.close()
    return tables


def migrate(db: sqlite3.Connection, version: int, to: int = len(STEPS)) -> None:
    """Apply the steps after `version`, up to version `to`, in one transaction."""
    with db:
        db.execute("BEGIN IMMEDIATE")
        for step in STEPS[version:to]:
            for statement in step:
                # Files of version 1 were written with user_version after the tables: a cut in between left both.
                db.execute(statement.replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS "))
        db.execute(f"PRAGMA user_version={to}")
