"""The SQL of one spool file: every statement that touches it, and nothing about what to do when one fails."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from edge.spool import schema, sums
from edge.spool.errors import SpoolCorrupt, damaged, spool_error
from protocols.metrics import Value
from protocols.wire import Lane, SeqRange, Shed

_SEEN_COMMANDS = 1_000

SpooledReading = tuple[str, str, float, Value]
Waiting = tuple[str, str, float, Value, str | None, float | None]
"""A reading with the run and the base of the clock that stamped it."""
Build = Callable[[str, int], bytes]
"""Makes a message of its place: epoch and sequence."""


@dataclass(frozen=True, slots=True)
class Drained:
    """Readings taken out for a batch, in order of arrival; all of one run of the clock (None: stamps are final)."""

    last_id: int
    readings: tuple[SpooledReading, ...]
    run: str | None = None
    base: float | None = None


Settled = Sequence[tuple[Lane, Sequence[SeqRange]]]
"""What the cloud has of each lane."""


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
        self.db = schema.connect(path)
        try:
            if self.meta("epoch") is None and self._holds_anything():
                raise damaged(path, "the epoch")
            self.db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (secrets.token_hex(8),))
            self.epoch = str(self.meta("epoch"))
            self.db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch_sum', ?)", (str(sums.of_text(self.epoch)),))
            self.size = int(self._one("SELECT coalesce(sum(length(body)), 0) FROM messages"))
            self._check_numbers()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            self.db.close()
            raise spool_error(path, error) from error
        except SpoolCorrupt:
            self.db.close()
            raise

    def _holds_anything(self) -> bool:
        tables = ("sequences", "messages", "readings", "open_alarms", "seen_commands", "shed")
        return any(self._one(f"SELECT EXISTS (SELECT 1 FROM {table})") for table in tables)

    def _check_numbers(self) -> None:
        """A number given out again, or an epoch that the cloud never heard of, would lose messages without a word."""
        if self.meta("epoch_sum") != str(sums.of_text(self.epoch)):
            raise damaged(self.path, "the epoch")
        wrong = self._one(
            "SELECT count(*) FROM sequences WHERE mirror IS NOT NULL AND mirror <> -last"
            " OR last < (SELECT coalesce(max(seq), 0) FROM messages WHERE messages.lane = sequences.lane)"
        )
        lanes = self._one("SELECT count(*) FROM messages WHERE lane NOT IN (SELECT lane FROM sequences)")
        known = ", ".join(f"'{lane}'" for lane in Lane)
        if wrong or lanes or self._one(f"SELECT count(*) FROM sequences WHERE lane NOT IN ({known})"):
            raise damaged(self.path, "the last number of a lane")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing, `size` too; on flash when it ends."""
        size = self.size
        try:
            with self.reading(), self.db:
                self.db.execute("BEGIN IMMEDIATE")
                yield
        except BaseException:
            self.size = size
            raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Whatever the database says becomes a SpoolError that names the file."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
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
            "INSERT INTO sequences (lane, last, mirror) VALUES (?, 1, -1)"
            " ON CONFLICT (lane) DO UPDATE SET last = last + 1, mirror = -(last + 1) RETURNING last"
        )
        seq = int(self.db.execute(statement, (lane,)).fetchone()[0])
        body = build(self.epoch, seq)
        row = (lane, seq, body, sums.of_body(lane, seq, body))
        self.db.execute("INSERT INTO messages (lane, seq, body, sum) VALUES (?, ?, ?, ?)", row)
        self.size += len(body)
        return seq, body

    def append_alarm(self, build: Build, alarm_id: str, open_body: bytes | None) -> tuple[int, bytes]:
        """An alarm event, and the open alarm's state with it."""
        with self.transaction():
            added = self.add(Lane.ALARM, build)
            self.db.execute("DELETE FROM open_alarms WHERE alarm_id = ?", (alarm_id,))
            if open_body is not None:
                self.add_open_alarm(alarm_id, open_body)
        return added

    def add_open_alarm(self, alarm_id: str, body: bytes) -> None:
        """Keep an open alarm's state; call it in a transaction."""
        row = (alarm_id, body, sums.of_body("open", alarm_id, body))
        self.db.execute("INSERT OR IGNORE INTO open_alarms (alarm_id, body, sum) VALUES (?, ?, ?)", row)

    def append_batch(self, lane: Lane, build: Build, drained: Drained, settled: Settled = ()) -> tuple[int, bytes]:
        """Turn drained readings into one message, and delete what the cloud has of earlier ones."""
        with self.transaction():
            for of, ranges in settled:
                self.remove(of, ranges)
            added = self.add(lane, build)
            self.db.execute("DELETE FROM readings WHERE id <= ?", (drained.last_id,))
        return added

    def add_readings(self, readings: Sequence[SpooledReading], run: str | None, base: float | None) -> None:
        """Readings for a later batch."""
        with self.transaction():
            self.insert_readings((*reading, run, base) for reading in readings)

    def insert_readings(self, rows: Iterable[Waiting]) -> None:
        """Rows of readings; call it in a transaction."""
        statement = "INSERT INTO readings (device, metric, at, value, type, run, base, sum) VALUES (?,?,?,?,?,?,?,?)"
        plain = ((d, m, float(at), v if isinstance(v, bool | str) else float(v), r, b) for d, m, at, v, r, b in rows)
        self.db.executemany(
            statement,
            ((d, m, at, v, type(v).__name__, r, b, sums.of_reading(d, m, at, v, r, b)) for d, m, at, v, r, b in plain),
        )

    def drain(self, limit: int) -> Drained | None:
        """The oldest readings of one run of the clock, at most `limit`."""
        statement = "SELECT id, device, metric, at, value, type, run, base, sum FROM readings ORDER BY id LIMIT ?"
        with self.reading():
            rows = self.db.execute(statement, (limit,)).fetchall()
        if not rows:
            return None
        waiting = [waiting_reading(row[1:]) for row in rows]
        if None in waiting:
            raise damaged(self.path, "a reading")
        found = [row for row in waiting if row is not None]
        run, base = found[0][4:]
        same = [row[:4] for row in takewhile(lambda row: row[4:] == (run, base), found)]
        return Drained(rows[len(same) - 1][0], tuple(same), run, base)

    def body(self, lane: Lane, seq: int) -> bytes | None:
        """One message."""
        with self.reading():
            row = self.db.execute("SELECT body, sum FROM messages WHERE lane = ? AND seq = ?", (lane, seq)).fetchone()
        return None if row is None else self._sound_body(lane, seq, *row)

    def _sound_body(self, lane: str, key: int | str, body: bytes, found: int | None) -> bytes:
        if not isinstance(body, bytes) or (found is not None and found != sums.of_body(lane, key, body)):
            raise damaged(self.path, f"{lane} {key}")
        return bytes(body)

    def after(self, lane: Lane, seq: int, limit: int) -> list[int]:
        """Sequences above `seq`, ascending."""
        statement = "SELECT seq FROM messages WHERE lane = ? AND seq > ? ORDER BY seq LIMIT ?"
        with self.reading():
            return [row[0] for row in self.db.execute(statement, (lane, seq, limit))]

    def settle(self, lane: Lane, ranges: Iterable[SeqRange]) -> int:
        """Delete ranges; how many messages that were."""
        with self.transaction():
            return self.remove(lane, ranges)

    def remove(self, lane: Lane, ranges: Iterable[SeqRange]) -> int:
        """Delete ranges; call it in a transaction."""
        deleted = 0
        where = "FROM messages WHERE lane = ? AND seq BETWEEN ? AND ?"
        for first, last in ranges:
            self.size -= int(self._one(f"SELECT coalesce(sum(length(body)), 0) {where}", lane, first, last))
            deleted += self.db.execute(f"DELETE {where}", (lane, first, last)).rowcount
        return deleted

    def oldest(self, lane: Lane, limit: int, *, only_whole: bool = False) -> list[tuple[int, bytes]]:
        """The oldest messages of a lane with their bodies; `only_whole`: those never thinned."""
        whole = " AND thinned = 0" if only_whole else ""
        statement = f"SELECT seq, body, sum FROM messages WHERE lane = ?{whole} ORDER BY seq LIMIT ?"
        with self.reading():
            rows = self.db.execute(statement, (lane, limit)).fetchall()
        return [(seq, self._sound_body(lane, seq, body, found)) for seq, body, found in rows]

    def replace(self, lane: Lane, bodies: dict[int, bytes | None], gone: Iterable[Gone]) -> int:
        """Give messages a thinner body (None: remove them) and write down what went; returns the bytes freed."""
        before = self.size
        with self.transaction():
            for seq, body in bodies.items():
                old = int(self._one("SELECT length(body) FROM messages WHERE lane = ? AND seq = ?", lane, seq))
                self.size += (0 if body is None else len(body)) - old
                if body is None:
                    self.db.execute("DELETE FROM messages WHERE lane = ? AND seq = ?", (lane, seq))
                else:
                    statement = "UPDATE messages SET body = ?, sum = ?, thinned = 1 WHERE lane = ? AND seq = ?"
                    self.db.execute(statement, (body, sums.of_body(lane, seq, body), lane, seq))
            for one in gone:
                self.write_down(one)
        return before - self.size

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
            rows = self.db.execute("SELECT alarm_id, body, sum FROM open_alarms ORDER BY alarm_id").fetchall()
        return [self._sound_body("open", alarm_id, body, found) for alarm_id, body, found in rows]

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

    def shorten_log(self) -> None:
        """Move a long log into the file; it begins anew with the next change."""
        with self.reading():
            if os.stat(f"{self.path}-wal").st_size > schema.LOG_BYTES:
                self.db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def sound(self) -> bool:
        """Whether SQLite finds the whole file consistent; reads all of it."""
        try:
            return bool(self.db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        except (sqlite3.Error, UnicodeDecodeError):
            return False

    def _one(self, statement: str, *values: object) -> float:
        row = self.db.execute(statement, values).fetchone()
        return 0 if row is None else row[0]


def waiting_reading(row: Sequence[Any]) -> Waiting | None:
    """A row of `readings` from device to sum; None if it is not what was written."""
    device, metric, at, stored, kind, run, base, found = row
    value: Value
    try:
        value = bool(stored) if kind == "bool" else str(stored) if kind == "str" else float(stored)
    except (TypeError, ValueError):
        return None
    if found is not None and found != sums.of_reading(device, metric, at, value, run, base):
        return None
    if (run is None) != (base is None):
        return None  # a bit that moves the sum into the base leaves no sum, as in files of before
    return device, metric, at, value, run, base
