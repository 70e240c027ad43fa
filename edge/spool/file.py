"""The SQL of one spool file: every statement that touches it, and nothing about what to do when one fails."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.spool.errors import spool_error
from edge.spool.schema import connect
from protocols.metrics import Value
from protocols.wire import Lane, SeqRange, Shed

_SEEN_COMMANDS = 1_000

SpooledReading = tuple[str, str, float, Value]
Build = Callable[[str, int], bytes]
"""Makes a message of its place: epoch and sequence."""


@dataclass(frozen=True, slots=True)
class Drained:
    """Readings taken out for a batch, in order of arrival; all of one run of the clock (None: stamps are final)."""

    last_id: int
    readings: tuple[SpooledReading, ...]
    run: str | None = None
    base: float | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """What a policy takes from the spool: times of the readings, how many messages and readings."""

    reason: str
    first: float
    last: float
    messages: int
    readings: int


class SpoolFile:
    """One open file. Every method is one transaction and raises SpoolError by its kind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = connect(path)
        try:
            self.db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (secrets.token_hex(8),))
            self.epoch = str(self.meta("epoch"))
            self.size = int(self._one("SELECT coalesce(sum(length(body)), 0) FROM messages"))
        except sqlite3.Error as error:
            self.db.close()
            raise spool_error(path, error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing; on flash when it ends."""
        with self.reading(), self.db:
            self.db.execute("BEGIN IMMEDIATE")
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Whatever the database says becomes a SpoolError that names the file."""
        try:
            yield
        except sqlite3.Error as error:
            raise spool_error(self.path, error) from error

    def meta(self, key: str) -> str | None:
        """A note about the file itself."""
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def note(self, key: str, value: str) -> None:
        """Write a note; call it in a transaction."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def add(self, lane: Lane, build: Build) -> tuple[int, bytes]:
        """Store a message under the lane's next sequence; call it in a transaction."""
        statement = (
            "INSERT INTO sequences VALUES (?, 1) ON CONFLICT (lane) DO UPDATE SET last = last + 1 RETURNING last"
        )
        seq = int(self.db.execute(statement, (lane,)).fetchone()[0])
        body = build(self.epoch, seq)
        self.db.execute("INSERT INTO messages (lane, seq, body) VALUES (?, ?, ?)", (lane, seq, body))
        self.size += len(body)
        return seq, body

    def append_alarm(self, build: Build, alarm_id: str, open_body: bytes | None) -> tuple[int, bytes]:
        """An alarm event, and the open alarm's state with it."""
        with self.transaction():
            added = self.add(Lane.ALARM, build)
            self.db.execute("DELETE FROM open_alarms WHERE alarm_id = ?", (alarm_id,))
            if open_body is not None:
                self.db.execute("INSERT INTO open_alarms VALUES (?, ?)", (alarm_id, open_body))
        return added

    def append_batch(self, lane: Lane, build: Build, drained: Drained) -> tuple[int, bytes]:
        """Turn drained readings into one message."""
        with self.transaction():
            added = self.add(lane, build)
            self.db.execute("DELETE FROM readings WHERE id <= ?", (drained.last_id,))
        return added

    def add_readings(self, readings: Sequence[SpooledReading], run: str | None, base: float | None) -> None:
        """Readings for a later batch."""
        rows = [(d, m, at, v, type(v).__name__, run, base) for d, m, at, v in readings]
        statement = "INSERT INTO readings (device, metric, at, value, type, run, base) VALUES (?,?,?,?,?,?,?)"
        with self.transaction():
            self.db.executemany(statement, rows)

    def drain(self, limit: int) -> Drained | None:
        """The oldest readings of one run of the clock, at most `limit`."""
        statement = "SELECT id, device, metric, at, value, type, run, base FROM readings ORDER BY id LIMIT ?"
        with self.reading():
            rows = self.db.execute(statement, (limit,)).fetchall()
        if not rows:
            return None
        run, base = rows[0][6:]
        cut = next((i for i, row in enumerate(rows) if row[6:] != (run, base)), len(rows))
        same = rows[:cut]
        return Drained(same[-1][0], tuple((d, m, at, _value(v, t)) for _, d, m, at, v, t, *_ in same), run, base)

    def body(self, lane: Lane, seq: int) -> bytes | None:
        """One message."""
        with self.reading():
            row = self.db.execute("SELECT body FROM messages WHERE lane = ? AND seq = ?", (lane, seq)).fetchone()
        return None if row is None else bytes(row[0])

    def after(self, lane: Lane, seq: int, limit: int) -> list[int]:
        """Sequences above `seq`, ascending."""
        statement = "SELECT seq FROM messages WHERE lane = ? AND seq > ? ORDER BY seq LIMIT ?"
        with self.reading():
            return [row[0] for row in self.db.execute(statement, (lane, seq, limit))]

    def settle(self, lane: Lane, ranges: Iterable[SeqRange]) -> int:
        """Delete ranges; how many messages that were."""
        deleted = freed = 0
        where = "FROM messages WHERE lane = ? AND seq BETWEEN ? AND ?"
        with self.transaction():
            for first, last in ranges:
                freed += int(self._one(f"SELECT coalesce(sum(length(body)), 0) {where}", lane, first, last))
                deleted += self.db.execute(f"DELETE {where}", (lane, first, last)).rowcount
        self.size -= freed
        return deleted

    def oldest(self, lane: Lane, limit: int, *, only_whole: bool = False) -> list[tuple[int, bytes]]:
        """The oldest messages of a lane with their bodies; `only_whole`: those never thinned."""
        whole = " AND thinned = 0" if only_whole else ""
        statement = f"SELECT seq, body FROM messages WHERE lane = ?{whole} ORDER BY seq LIMIT ?"
        with self.reading():
            return [(seq, bytes(body)) for seq, body in self.db.execute(statement, (lane, limit))]

    def replace(self, lane: Lane, bodies: dict[int, bytes | None], gone: Iterable[Gone]) -> int:
        """Give messages a thinner body (None: remove them) and write down what went; returns the bytes freed."""
        freed = 0
        with self.transaction():
            for seq, body in bodies.items():
                freed += int(self._one("SELECT length(body) FROM messages WHERE lane = ? AND seq = ?", lane, seq))
                if body is None:
                    self.db.execute("DELETE FROM messages WHERE lane = ? AND seq = ?", (lane, seq))
                else:
                    freed -= len(body)
                    statement = "UPDATE messages SET body = ?, thinned = 1 WHERE lane = ? AND seq = ?"
                    self.db.execute(statement, (body, lane, seq))
            for one in gone:
                self.write_down(one)
        self.size -= freed
        return freed

    def write_down(self, gone: Gone) -> None:
        """Add to what went for one reason; call it in a transaction."""
        self.db.execute(
            "INSERT INTO shed VALUES (?, ?, ?, ?, ?) ON CONFLICT (reason) DO UPDATE SET"
            " first = min(first, excluded.first), last = max(last, excluded.last),"
            " messages = messages + excluded.messages, readings = readings + excluded.readings",
            (gone.reason, gone.first, gone.last, gone.messages, gone.readings),
        )

    def shed(self) -> list[Shed]:
        """All that went since the epoch began, by reason."""
        with self.reading():
            rows = self.db.execute("SELECT reason, first, last, messages, readings FROM shed ORDER BY reason")
            return [Shed(*row) for row in rows]

    def open_alarms(self) -> list[bytes]:
        """Alarms that had not ended, oldest first (their ids sort by time)."""
        with self.reading():
            return [bytes(row[0]) for row in self.db.execute("SELECT body FROM open_alarms ORDER BY alarm_id")]

    def forget_alarms(self, alarm_ids: Iterable[str]) -> None:
        """Remove open alarms."""
        with self.transaction():
            self.db.executemany("DELETE FROM open_alarms WHERE alarm_id = ?", [(a,) for a in alarm_ids])

    def first_time(self, command_id: str, now: float) -> bool:
        """Remember a command; False if it was known."""
        statement = "DELETE FROM seen_commands WHERE id NOT IN (SELECT id FROM seen_commands ORDER BY at DESC LIMIT ?)"
        with self.transaction():
            fresh = self.db.execute("INSERT OR IGNORE INTO seen_commands VALUES (?, ?)", (command_id, now)).rowcount
            self.db.execute(statement, (_SEEN_COMMANDS,))
        return fresh == 1

    def last_seq(self) -> dict[Lane, int]:
        """The last sequence given out, by lane."""
        with self.reading():
            return {Lane(lane): last for lane, last in self.db.execute("SELECT lane, last FROM sequences")}

    def depth(self) -> dict[Lane, int]:
        """Messages by lane."""
        with self.reading():
            rows = self.db.execute("SELECT lane, count(*) FROM messages GROUP BY lane")
            return {Lane(lane): n for lane, n in rows}

    def checkpoint(self) -> None:
        """Let the log be written from its beginning again, so that the next change needs no new room on disk."""
        with self.reading():
            self.db.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def sound(self) -> bool:
        """Whether SQLite finds the whole file consistent; reads all of it."""
        try:
            return bool(self.db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        except sqlite3.Error:
            return False

    def _one(self, statement: str, *values: object) -> float:
        row = self.db.execute(statement, values).fetchone()
        return 0 if row is None else row[0]


def _value(stored: object, type_name: str) -> Value:
    if type_name == "bool":
        return bool(stored)
    return str(stored) if type_name == "str" else float(stored)  # type: ignore[arg-type]
