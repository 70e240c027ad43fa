"""Reads what can still be read of a damaged spool, piece by piece around the damage."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.spool import sums
from edge.spool.file import Waiting, waiting_reading
from edge.spool.schema import are_tables_of_a_spool, migrate

_GUESSED_LAST = 1 << 20
_MOST_QUERIES = 20_000
_PAGE_1 = 4096
_MAGIC = b"SQLite format 3\0"


@dataclass(slots=True)
class Wreck:
    """A damaged file, open for reading. `unreadable` counts pieces that could not be read."""

    db: sqlite3.Connection
    unreadable: int = 0
    queries: int = field(default=0)

    def messages(self, lane: str) -> Iterator[tuple[int, bytes]]:
        """Sequence and body of all readable messages of a lane, ascending; one with a wrong sum is not readable."""
        found = self._try("SELECT last FROM sequences WHERE lane = ?", (lane,))
        last = 0 if found == [] else _whole(found, _GUESSED_LAST)
        last = max(last, _whole(self._try("SELECT max(seq) FROM messages WHERE lane = ?", (lane,)), 0))
        statement = f"SELECT seq, body, {self._sum('messages')} FROM messages WHERE lane = ? AND seq BETWEEN ? AND ?"
        for seq, body, found_sum in self._halves(f"{statement} ORDER BY seq", (lane,), 1, max(1, last)):
            if isinstance(body, bytes) and found_sum in (None, sums.of_body(lane, seq, body)):
                yield seq, body
            else:
                self.unreadable += 1

    def readings(self) -> Iterator[Waiting]:
        """Readings that waited for a batch."""
        clock = "run, base" if self._has("readings", "run") else "NULL, NULL"
        statement = f"SELECT device, metric, at, value, type, {clock}, {self._sum('readings')} FROM readings"
        for row in self._halves(f"{statement} WHERE id BETWEEN ? AND ? ORDER BY id", (), 1, _GUESSED_LAST):
            reading = waiting_reading(row)
            if reading is None:
                self.unreadable += 1
            else:
                yield reading

    def open_alarms(self) -> list[tuple[str, bytes]]:
        """Id and body of open alarms."""
        rows = self._try(f"SELECT alarm_id, body, {self._sum('open_alarms')} FROM open_alarms")
        if rows is None:
            self.unreadable += 1
            return []
        good = [
            (i, body)
            for i, body, found in rows
            if isinstance(body, bytes) and found in (None, sums.of_body("open", i, body))
        ]
        self.unreadable += len(rows) - len(good)
        return good

    def _has(self, table: str, column: str) -> bool:
        """Files of older versions lack some columns."""
        return self._try("SELECT 1 FROM pragma_table_info(?) WHERE name = ?", (table, column)) == [(1,)]

    def _sum(self, table: str) -> str:
        return "sum" if self._has(table, "sum") else "NULL"

    def commands(self) -> list[tuple[Any, ...]]:
        """Commands seen: id and time."""
        return self._try("SELECT id, at FROM seen_commands") or []

    def _try(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]] | None:
        self.queries += 1
        try:
            return self.db.execute(statement, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError):
            return None

    def _halves(self, statement: str, head: tuple[object, ...], low: int, high: int) -> Iterator[tuple[Any, ...]]:
        """Rows between two keys; a range that cannot be read is read by halves, down to the key that cannot."""
        step = 512
        self.queries = 0  # damage in one table leaves the others their share of the time
        for start in range(low, high + 1, step):
            if self.queries > _MOST_QUERIES:
                self.unreadable += 1
                return
            yield from self._range(statement, head, start, min(start + step - 1, high))

    def _range(self, statement: str, head: tuple[object, ...], low: int, high: int) -> Iterator[tuple[Any, ...]]:
        rows = self._try(statement, (*head, low, high))
        if rows is not None:
            yield from rows
        elif low == high or self.queries > _MOST_QUERIES:
            self.unreadable += 1
        else:
            middle = (low + high) // 2
            yield from self._range(statement, head, low, middle)
            yield from self._range(statement, head, middle + 1, high)


def _whole(rows: list[tuple[Any, ...]] | None, otherwise: int) -> int:
    """The whole number that a query found; damage may have made it anything else, or unreadable."""
    value = rows[0][0] if rows else None
    return value if isinstance(value, int) else otherwise


def open_wreck(path: Path) -> Wreck | None:
    """Open a damaged file; one whose first page is lost, or tells of other tables than any spool has, gets that of a
    new spool. None if it is no spool at all.
    """
    for mend in (False, True):
        try:
            if mend:
                _replace_first_page(path)
            db = sqlite3.connect(path, isolation_level=None)
        except (sqlite3.Error, OSError):
            continue
        wreck = Wreck(db)
        has_messages = wreck._try("SELECT count(*) FROM sqlite_schema WHERE name = 'messages'") == [(1,)]
        if has_messages and (mend or _as_created(db)):
            return wreck
        db.close()
    return None


def _as_created(db: sqlite3.Connection) -> bool:
    try:
        return are_tables_of_a_spool(db)
    except (sqlite3.Error, UnicodeDecodeError):
        return False


def _replace_first_page(path: Path) -> None:
    """The tables of every spool have been created in the same order, so that their roots are the same pages."""
    torn = path.stat().st_size % _PAGE_1
    with path.open("r+b") as file:
        if torn and file.read(len(_MAGIC)) != _MAGIC:
            raise OSError("not whole pages: never a spool")
        file.truncate(path.stat().st_size + (_PAGE_1 - torn if torn else 0))  # the end was cut off within a page
    template = sqlite3.connect(":memory:", isolation_level=None)
    migrate(template, 0)
    page = bytearray(template.serialize()[:_PAGE_1])
    template.close()
    page[18:20] = b"\2\2"  # written in WAL mode
    page[92:96] = b"\xff\xff\xff\xff"  # not valid for the change counter: the file's own length counts
    with path.open("r+b") as file:
        file.write(page)
