"""The spool on SQLite: sequences that survive, alarms synced before anything else happens, telemetry committed in
groups.

A sequence number is taken and its message stored in one transaction, so that a number never stands for two messages
and a stored message never loses its number. Past `limit_bytes` the oldest back-log goes first, then live batches;
alarms never.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from protocols.metrics import Value
from protocols.wire import Lane, SeqRange, SpoolStatus

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sequences (lane TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
  lane TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (lane, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS readings (
  id INTEGER PRIMARY KEY, device TEXT NOT NULL, metric TEXT NOT NULL, at REAL NOT NULL, value BLOB NOT NULL, type TEXT
  NOT NULL); CREATE TABLE IF NOT EXISTS open_alarms (alarm_id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS seen_commands (id TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
"""
_SCHEMA_VERSION = 1
_SEEN_COMMANDS = 1_000

SpooledReading = tuple[str, str, float, Value]


class SpoolError(Exception):
    """The spool could not be opened or written; the message says which file and why."""


@dataclass(frozen=True, slots=True)
class Drained:
    """Readings taken out for a batch, in order of arrival."""

    last_id: int
    readings: tuple[SpooledReading, ...]


class Spool:
    """One spool file. Not thread-safe: call it from one thread."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._path = path
        self._limit = limit_bytes
        self.dropped = 0
        self._db = self._open()
        self.epoch = self._epoch()
        self.dropped = int(self._meta("dropped") or 0)
        self._size = self._measure()

    def close(self) -> None:
        """Close the file; everything accepted is in it."""
        self._db.close()

    def append_alarm(self, build: Callable[[int], bytes], alarm_id: str, open_body: bytes | None) -> tuple[int, bytes]:
        """Store one alarm event under the next sequence, and the open alarm's state with it (None: it has ended).

        On flash when this returns. Raises SpoolError; a full disk first costs the oldest telemetry, then one more
        attempt.
        """
        try:
            return self._append_alarm(build, alarm_id, open_body)
        except SpoolError:
            self._make_room(1_000_000)
            return self._append_alarm(build, alarm_id, open_body)

    def _append_alarm(self, build: Callable[[int], bytes], alarm_id: str, open_body: bytes | None) -> tuple[int, bytes]:
        with self._transaction():
            seq = self._next(Lane.ALARM)
            body = build(seq)
            self._insert(Lane.ALARM, seq, body)
            if open_body is None:
                self._db.execute("DELETE FROM open_alarms WHERE alarm_id = ?", (alarm_id,))
            else:
                self._db.execute("INSERT OR REPLACE INTO open_alarms VALUES (?, ?)", (alarm_id, open_body))
        self._size += len(body)
        return seq, body

    def add_readings(self, readings: Sequence[SpooledReading]) -> None:
        """Store readings for the next batch; on flash when this returns. Raises SpoolError."""
        rows = [(d, m, at, v, type(v).__name__) for d, m, at, v in readings]
        with self._transaction():
            self._db.executemany("INSERT INTO readings (device, metric, at, value, type) VALUES (?,?,?,?,?)", rows)

    def drain(self, limit: int) -> Drained | None:
        """The oldest readings that wait for a batch, at most `limit`; None if there are none."""
        rows = self._db.execute(
            "SELECT id, device, metric, at, value, type FROM readings ORDER BY id LIMIT ?", (limit,)
        ).fetchall()
        if not rows:
            return None
        readings = tuple((d, m, at, _value(v, t)) for _, d, m, at, v, t in rows)
        return Drained(rows[-1][0], readings)

    def append_batch(self, lane: Lane, build: Callable[[int], bytes], drained: Drained) -> tuple[int, bytes]:
        """Turn drained readings into one message under the lane's next sequence, in one transaction. Raises
        SpoolError.
        """
        with self._transaction():
            seq = self._next(lane)
            body = build(seq)
            self._insert(lane, seq, body)
            self._db.execute("DELETE FROM readings WHERE id <= ?", (drained.last_id,))
        self._size += len(body)
        if self._size > self._limit:
            self._make_room(self._size - self._limit)
        return seq, body

    def body(self, lane: Lane, seq: int) -> bytes | None:
        """The message of a sequence, None if it was settled or dropped."""
        row = self._db.execute("SELECT body FROM messages WHERE lane = ? AND seq = ?", (lane, seq)).fetchone()
        return None if row is None else bytes(row[0])

    def after(self, lane: Lane, seq: int, limit: int) -> list[int]:
        """Stored sequences of a lane above `seq`, ascending, at most `limit`."""
        rows = self._db.execute(
            "SELECT seq FROM messages WHERE lane = ? AND seq > ? ORDER BY seq LIMIT ?", (lane, seq, limit)
        )
        return [row[0] for row in rows]

    def settle(self, lane: Lane, ranges: Iterable[SeqRange]) -> int:
        """Delete what the cloud has stored or refused; returns how many messages."""
        deleted = freed = 0
        with self._transaction():
            for first, last in ranges:
                where = "FROM messages WHERE lane = ? AND seq BETWEEN ? AND ?"
                size = self._db.execute(
                    f"SELECT coalesce(sum(length(body)), 0) {where}", (lane, first, last)
                ).fetchone()
                deleted += self._db.execute(f"DELETE {where}", (lane, first, last)).rowcount
                freed += size[0]
        self._size -= freed
        return deleted

    def open_alarms(self) -> list[bytes]:
        """Bodies of the alarms that had not ended, oldest first (their ids sort by time)."""
        return [bytes(row[0]) for row in self._db.execute("SELECT body FROM open_alarms ORDER BY alarm_id")]

    def forget_alarms(self, alarm_ids: Iterable[str]) -> None:
        """Remove open alarms the cloud has closed."""
        with self._transaction():
            self._db.executemany("DELETE FROM open_alarms WHERE alarm_id = ?", [(a,) for a in alarm_ids])

    def first_time(self, command_id: str, now: float) -> bool:
        """Remember a command; False if it was seen before (a broker may deliver it twice)."""
        with self._transaction():
            fresh = self._db.execute("INSERT OR IGNORE INTO seen_commands VALUES (?, ?)", (command_id, now)).rowcount
            self._db.execute(
                "DELETE FROM seen_commands WHERE id NOT IN (SELECT id FROM seen_commands ORDER BY at DESC LIMIT ?)",
                (_SEEN_COMMANDS,),
            )
        return fresh == 1

    def last_seq(self) -> dict[Lane, int]:
        """The last sequence given out, by lane."""
        return {Lane(lane): last for lane, last in self._db.execute("SELECT lane, last FROM sequences")}

    def status(self) -> SpoolStatus:
        """Depth by lane and size."""
        rows = self._db.execute("SELECT lane, count(*) FROM messages GROUP BY lane")
        return SpoolStatus({Lane(lane): n for lane, n in rows}, max(self._size, 0), self._limit, self.dropped)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing; whatever the database says against it becomes a SpoolError that names the file."""
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.Error as error:
            raise SpoolError(f"{self._path}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > _SCHEMA_VERSION:
                raise SpoolError(f"{self._path}: written by a newer version ({version}); update this gateway")
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")
        except (sqlite3.Error, OSError) as error:
            raise SpoolError(f"{self._path}: {error}") from error
        return db

    def _meta(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _epoch(self) -> str:
        with self._db:
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (secrets.token_hex(8),))
        return self._meta("epoch") or ""

    def _next(self, lane: Lane) -> int:
        row = self._db.execute(
            "INSERT INTO sequences VALUES (?, 1) ON CONFLICT (lane) DO UPDATE SET last = last + 1 RETURNING last",
            (lane,),
        ).fetchone()
        return int(row[0])

    def _insert(self, lane: Lane, seq: int, body: bytes) -> None:
        self._db.execute("INSERT INTO messages VALUES (?, ?, ?)", (lane, seq, body))

    def _measure(self) -> int:
        return int(self._db.execute("SELECT coalesce(sum(length(body)), 0) FROM messages").fetchone()[0])

    def _make_room(self, wanted: int) -> None:
        """Drop the oldest telemetry, back-log before live, until `wanted` bytes are free; counted for ever."""
        freed = dropped = 0
        with self._transaction():
            for lane in (Lane.BACKLOG, Lane.LIVE):
                rows = self._db.execute("SELECT seq, length(body) FROM messages WHERE lane = ? ORDER BY seq", (lane,))
                for seq, size in rows.fetchall():
                    if freed >= wanted:
                        break
                    self._db.execute("DELETE FROM messages WHERE lane = ? AND seq = ?", (lane, seq))
                    freed += size
                    dropped += 1
            total = str(self.dropped + dropped)
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('dropped', ?)", (total,))
        self._size -= freed
        self.dropped += dropped


def _value(stored: object, type_name: str) -> Value:
    if type_name == "bool":
        return bool(stored)
    return str(stored) if type_name == "str" else float(stored)  # type: ignore[arg-type]
