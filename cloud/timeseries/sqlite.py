"""The embedded time-series store: one SQLite file, WAL, WITHOUT ROWID tables keyed by series and time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from cloud.timeseries.base import Delivery, Point, Sample, Series, StoreError
from protocols.delivery import RangeSet
from protocols.metrics import METRICS, Type, Value
from protocols.wire import Lane, SeqRange

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
  id INTEGER PRIMARY KEY, home TEXT NOT NULL, device TEXT NOT NULL, metric TEXT NOT NULL, UNIQUE (home, device, metric)
);
CREATE INDEX IF NOT EXISTS series_metric ON series (metric);
CREATE TABLE IF NOT EXISTS points (
  series INTEGER NOT NULL, at INTEGER NOT NULL, value NOT NULL, PRIMARY KEY (series, at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS latest (series INTEGER PRIMARY KEY, at INTEGER NOT NULL, value NOT NULL);
CREATE TABLE IF NOT EXISTS delivery (
  gateway TEXT NOT NULL, epoch TEXT NOT NULL, lane TEXT NOT NULL, seq INTEGER NOT NULL,
  home TEXT NOT NULL, at INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (gateway, epoch, lane, seq)
) WITHOUT ROWID;
"""


class SqliteStore:
    """See `TimeSeriesStore`. One thread writes, another reads, so that a chart never waits for a batch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="timeseries-write")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="timeseries-read")
        self._write_to: sqlite3.Connection | None = None
        self._read_from: sqlite3.Connection | None = None
        self._ids: dict[tuple[str, str, str], int] = {}

    async def open(self) -> None:
        """Create file and tables. Raises StoreError."""
        self._write_to = await self._on(self._writer, self._connect)
        self._read_from = await self._on(self._reader, self._connect)

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=10, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(_SCHEMA)
        return connection

    async def close(self) -> None:
        """Close both connections."""
        for executor, connection in ((self._writer, self._write_to), (self._reader, self._read_from)):
            if connection is not None:
                await self._on(executor, connection.close)
            executor.shutdown()

    async def _on(self, executor: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(executor, call)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self._path}: {error}") from error

    async def write(self, points: Sequence[Point], deliveries: Sequence[Delivery]) -> None:
        """Store all in one transaction. Raises StoreError."""
        await self._on(self._writer, lambda: self._write(points, deliveries))

    def _write(self, points: Sequence[Point], deliveries: Sequence[Delivery]) -> None:
        connection = self._opened(self._write_to)
        known = dict(self._ids)
        connection.execute("BEGIN IMMEDIATE")
        try:
            rows = [
                (self._series(connection, known, p.home, p.device, metric), p.at_ms, value)
                for p in points
                for metric, value in p.fields.items()
            ]
            connection.executemany("INSERT OR REPLACE INTO points VALUES (?, ?, ?)", rows)
            connection.executemany(
                "INSERT INTO latest VALUES (?, ?, ?) ON CONFLICT (series) DO UPDATE SET at = excluded.at,"
                " value = excluded.value WHERE excluded.at >= latest.at",
                rows,
            )
            connection.executemany(
                "INSERT OR REPLACE INTO delivery VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(d.gateway, d.epoch, d.lane, d.seq, d.home, d.at_ms, d.count) for d in deliveries],
            )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._ids = known

    @staticmethod
    def _series(
        connection: sqlite3.Connection, known: dict[tuple[str, str, str], int], home: str, device: str, metric: str
    ) -> int:
        key = (home, device, metric)
        found = known.get(key)
        if found is None:
            connection.execute("INSERT OR IGNORE INTO series (home, device, metric) VALUES (?, ?, ?)", key)
            (found,) = connection.execute(
                "SELECT id FROM series WHERE home = ? AND device = ? AND metric = ?", key
            ).fetchone()
            known[key] = found
        return found

    @staticmethod
    def _opened(connection: sqlite3.Connection | None) -> sqlite3.Connection:
        if connection is None:
            raise StoreError("the store is not open")
        return connection

    async def _read(self, query: str, values: Sequence[object]) -> list[tuple[object, ...]]:
        return await self._on(
            self._reader, lambda: self._opened(self._read_from).execute(query, tuple(values)).fetchall()
        )

    async def latest(self, home: str) -> list[Sample]:
        """Latest value of every metric of one home."""
        rows = await self._read(
            "SELECT device, metric, at, value FROM series JOIN latest ON latest.series = series.id WHERE home = ?"
            " ORDER BY device, metric",
            [home],
        )
        return [_sample(d, m, at, v) for d, m, at, v in rows]

    async def latest_all(self, metric: str) -> dict[str, list[Sample]]:
        """Latest value of one metric, by home."""
        rows = await self._read(
            "SELECT home, device, metric, at, value FROM series JOIN latest ON latest.series = series.id"
            " WHERE metric = ? ORDER BY home, device",
            [metric],
        )
        homes: dict[str, list[Sample]] = {}
        for home, device, name, at, value in rows:
            homes.setdefault(str(home), []).append(_sample(device, name, at, value))
        return homes

    async def range(
        self, home: str, metrics: Sequence[str], start: float, end: float, *, max_points: int = 1_000
    ) -> list[Series]:
        """Series of one home in time order, `start` included, `end` not."""
        first, last = round(start * 1000), round(end * 1000)
        marks = ", ".join("?" * len(metrics))
        found = await self._read(
            f"SELECT id, device, metric, (SELECT count(*) FROM points WHERE series = id AND at >= ? AND at < ?)"
            f" FROM series WHERE home = ? AND metric IN ({marks}) ORDER BY device, metric",
            [first, last, home, *metrics],
        )
        result = []
        for series, device, metric, count in found:
            name, number = str(metric), METRICS[str(metric)].type is Type.NUMBER
            if number and int(str(count)) > max_points:
                result.append(await self._thinned(series, str(device), name, first, last, max_points))
            elif count:
                rows = await self._read(
                    "SELECT at, value FROM points WHERE series = ? AND at >= ? AND at < ? ORDER BY at",
                    [series, first, last],
                )
                samples = [_sample(device, name, at, value) for at, value in rows]
                result.append(Series(str(device), name, tuple(s.at for s in samples), tuple(s.value for s in samples)))
        return result

    async def _thinned(
        self, series: object, device: str, metric: str, first: int, last: int, max_points: int
    ) -> Series:
        width = window_ms(first, last, max_points)
        rows = await self._read(
            "SELECT w, (SELECT value FROM points WHERE series = ?1 AND at = newest), low, high FROM ("
            "SELECT at / ?2 * ?2 AS w, max(at) AS newest, min(value) AS low, max(value) AS high FROM points"
            " WHERE series = ?1 AND at >= ?3 AND at < ?4 GROUP BY w) ORDER BY w",
            [series, width, first, last],
        )
        at, values, low, high = zip(*rows, strict=True)
        return Series(device, metric, tuple(int(str(w)) / 1000 for w in at), values, low, high)

    async def delivered(self, gateway: str, start: float, end: float) -> dict[tuple[str, Lane], list[SeqRange]]:
        """Sequences proven to have arrived, from batches sent between `start` and `end`."""
        rows = await self._read(
            "SELECT epoch, lane, seq FROM delivery WHERE gateway = ? AND at >= ? AND at < ?",
            [gateway, round(start * 1000), round(end * 1000)],
        )
        found: dict[tuple[str, Lane], RangeSet] = {}
        for epoch, lane, seq in rows:
            found.setdefault((str(epoch), Lane(str(lane))), RangeSet()).add(int(str(seq)))
        return {key: list(ranges) for key, ranges in found.items()}

    async def check(self) -> str | None:
        """None if the file can be read."""
        try:
            await self._read("SELECT 1 FROM series LIMIT 1", [])
        except StoreError as error:
            return str(error)
        return None


def window_ms(first: int, last: int, max_points: int) -> int:
    """Width of the windows that thin `first`..`last` (ms) to at most `max_points`; windows start at its multiples."""
    return max(1, -(-(last - first) // max(1, max_points - 1)))


def _sample(device: object, metric: object, at: object, value: object) -> Sample:
    name = str(metric)
    known = METRICS.get(name)
    kept: Value = bool(value) if known is not None and known.type is Type.FLAG else value  # type: ignore[assignment]
    return Sample(str(device), name, int(str(at)) / 1000, kept)
