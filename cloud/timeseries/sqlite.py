"""The embedded time-series store: one SQLite file, WAL, WITHOUT ROWID tables keyed by series and time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from cloud.timeseries.base import Delivery, Point, Proof, Resolution, Sample, Series, StoreError, Window
from cloud.timeseries.ranges import ranges_by_lane
from cloud.timeseries.thinning import window_ms
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
CREATE TABLE IF NOT EXISTS rollup (
  series INTEGER NOT NULL, resolution TEXT NOT NULL, at INTEGER NOT NULL, count INTEGER NOT NULL, last NOT NULL,
  low REAL, high REAL, mean REAL, PRIMARY KEY (series, resolution, at)
) WITHOUT ROWID;
"""
_DROP_AT_ONCE = 20_000
_FREE_PAGES = 2_000


class SqliteStore:
    """See `TimeSeriesStore`. One thread writes, another reads, so that a chart never waits for a batch."""

    takes_lines = False

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
        # Only a new file takes this; it lets retention give room back to the disk in small steps.
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
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

    async def write(self, points: Sequence[Point | str], deliveries: Sequence[Delivery]) -> None:
        """Store all in one transaction. Raises StoreError."""
        whole = [point for point in points if isinstance(point, Point)]
        assert len(whole) == len(points), "this store takes no lines"
        await self._on(self._writer, lambda: self._in_transaction(lambda c, ids: _write(c, ids, whole, deliveries)))

    async def write_windows(self, resolution: Resolution, windows: Sequence[Window]) -> None:
        """Store roll-ups. Raises StoreError."""

        def put(connection: sqlite3.Connection, known: dict[tuple[str, str, str], int]) -> None:
            rows = [
                (series, resolution, w.at_ms, w.count, w.last, w.low, w.high, w.mean)
                for w in windows
                for series in (_series(connection, known, w.home, w.device, w.metric),)
            ]
            connection.executemany("INSERT OR REPLACE INTO rollup VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

        await self._on(self._writer, lambda: self._in_transaction(put))

    def _in_transaction(self, job: Callable[[sqlite3.Connection, dict[tuple[str, str, str], int]], None]) -> None:
        connection = self._opened(self._write_to)
        known = dict(self._ids)
        connection.execute("BEGIN IMMEDIATE")
        try:
            job(connection, known)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._ids = known

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
        self,
        home: str,
        metrics: Sequence[str],
        start: float,
        end: float,
        *,
        max_points: int = 1_000,
        resolution: Resolution = Resolution.RAW,
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
            if resolution is not Resolution.RAW:
                result += await self._rolled_up(series, str(device), name, first, last, resolution)
            elif number and int(str(count)) > max_points:
                result.append(await self._thinned(series, str(device), name, first, last, max_points))
            elif count:
                rows = await self._read(
                    "SELECT at, value FROM points WHERE series = ? AND at >= ? AND at < ? ORDER BY at",
                    [series, first, last],
                )
                samples = [_sample(device, name, at, value) for at, value in rows]
                result.append(Series(str(device), name, tuple(s.at for s in samples), tuple(s.value for s in samples)))
        return result

    async def _rolled_up(
        self, series: object, device: str, metric: str, first: int, last: int, resolution: Resolution
    ) -> list[Series]:
        rows = await self._read(
            "SELECT at, last, low, high FROM rollup"
            " WHERE series = ? AND resolution = ? AND at >= ? AND at < ? ORDER BY at",
            [series, resolution, first, last],
        )
        if not rows:
            return []
        samples = [_sample(device, metric, at, value) for at, value, _, _ in rows]
        at, values = tuple(s.at for s in samples), tuple(s.value for s in samples)
        if METRICS[metric].type is not Type.NUMBER:
            return [Series(device, metric, at, values)]
        low, high = (tuple(float(str(row[i])) for row in rows) for i in (2, 3))
        return [Series(device, metric, at, values, low, high)]

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

    async def windows(self, resolution: Resolution, start_ms: int, end_ms: int, homes: Sequence[str]) -> list[Window]:
        """What one window holds, computed from the values, or a day from its quarters."""
        where = f" AND home IN ({', '.join('?' * len(homes))})"
        if resolution is Resolution.QUARTER:
            query = (
                "SELECT home, device, metric, n, (SELECT value FROM points WHERE series = id AND at = newest), low,"
                " high, mean FROM (SELECT id, home, device, metric, count(*) AS n, max(at) AS newest,"
                " min(value) AS low, max(value) AS high, avg(value) AS mean"
                " FROM series JOIN points ON points.series = series.id"
                f" WHERE at >= ? AND at < ?{where} GROUP BY id)"
            )
        else:
            query = (
                "SELECT home, device, metric, n, (SELECT last FROM rollup WHERE series = id AND resolution = '15min'"
                " AND at = newest), low, high, mean FROM (SELECT id, home, device, metric, sum(count) AS n,"
                " max(at) AS newest, min(low) AS low, max(high) AS high, sum(mean * count) / sum(count) AS mean"
                " FROM series JOIN rollup ON rollup.series = series.id"
                f" WHERE resolution = '15min' AND at >= ? AND at < ?{where} GROUP BY id)"
            )
        return [_window(start_ms, *row) for row in await self._read(query, [start_ms, end_ms, *homes])]

    async def drop_before(self, resolution: Resolution, before_ms: int) -> int:
        """Delete in small transactions, so that writers get their turn in between, and give the room back."""
        if resolution is Resolution.RAW:
            found = "SELECT series, at FROM points WHERE series = ? AND at < ? LIMIT ?"
            statements = [f"DELETE FROM points WHERE (series, at) IN ({found})"]
        else:
            found = f"SELECT series, resolution, at FROM rollup WHERE series = ? AND resolution = '{resolution}'"
            statements = [f"DELETE FROM rollup WHERE (series, resolution, at) IN ({found} AND at < ? LIMIT ?)"]
        dropped = 0
        for (series,) in await self._read("SELECT id FROM series", []):
            for statement in statements:
                dropped += await self._drop(statement, [series, before_ms])
        if resolution is Resolution.RAW:
            key = "gateway, epoch, lane, seq"
            old = f"SELECT {key} FROM delivery WHERE at < ? LIMIT ?"
            dropped += await self._drop(f"DELETE FROM delivery WHERE ({key}) IN ({old})", [before_ms])
        more = True
        while more:
            more = await self._on(self._writer, self._vacuum)
        return dropped

    async def _drop(self, statement: str, values: Sequence[object]) -> int:
        dropped = 0
        while True:
            gone = await self._on(
                self._writer,
                lambda: self._opened(self._write_to).execute(statement, (*values, _DROP_AT_ONCE)).rowcount,
            )
            dropped += gone
            if gone < _DROP_AT_ONCE:
                return dropped

    def _vacuum(self) -> bool:
        connection = self._opened(self._write_to)
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        if free:
            connection.execute(f"PRAGMA incremental_vacuum({_FREE_PAGES})").fetchall()
        (left,) = connection.execute("PRAGMA freelist_count").fetchone()
        return bool(0 < left < free)

    async def size_bytes(self) -> int | None:
        """Size of the file and its write-ahead log."""
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    async def delivered(self, gateway: str, start: float, end: float) -> dict[tuple[str, Lane], list[SeqRange]]:
        """Sequences proven to have arrived, from batches sent between `start` and `end`."""
        rows = await self._read(
            "SELECT epoch, lane, seq FROM delivery WHERE gateway = ? AND at >= ? AND at < ?",
            [gateway, round(start * 1000), round(end * 1000)],
        )
        return ranges_by_lane((str(epoch), Lane(str(lane)), int(str(seq))) for epoch, lane, seq in rows)

    async def proofs(self, start: float, end: float, home: str | None = None) -> AsyncIterator[list[Proof]]:
        """Every `delivery` entry; this store keeps one for each sequence by its key."""
        where, values = (" AND home = ?", [home]) if home is not None else ("", [])
        rows = await self._read(
            f"SELECT home, gateway, epoch, lane, seq, at FROM delivery WHERE at >= ? AND at < ?{where}",
            [round(start * 1000), round(end * 1000), *values],
        )
        yield [Proof(str(h), str(g), str(e), Lane(str(n)), int(str(s)), int(str(at))) for h, g, e, n, s, at in rows]

    async def clock(self) -> float | None:
        """There is no second clock."""
        return None

    async def check(self) -> str | None:
        """None if the file can be read."""
        try:
            await self._read("SELECT 1 FROM series LIMIT 1", [])
        except StoreError as error:
            return str(error)
        return None


def _write(
    connection: sqlite3.Connection,
    known: dict[tuple[str, str, str], int],
    points: Sequence[Point],
    deliveries: Sequence[Delivery],
) -> None:
    rows = [
        (_series(connection, known, p.home, p.device, metric), p.at_ms, value)
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


def _sample(device: object, metric: object, at: object, value: object) -> Sample:
    name = str(metric)
    known = METRICS.get(name)
    kept: Value = bool(value) if known is not None and known.type is Type.FLAG else value  # type: ignore[assignment]
    return Sample(str(device), name, int(str(at)) / 1000, kept)


def _window(at_ms: int, *row: object) -> Window:
    home, device, metric, count, last, low, high, mean = row
    kept = _sample(device, metric, 0, last).value
    if METRICS[str(metric)].type is not Type.NUMBER:
        return Window(str(home), str(device), str(metric), at_ms, int(str(count)), kept)
    extremes = (float(str(figure)) for figure in (low, high, mean))
    return Window(str(home), str(device), str(metric), at_ms, int(str(count)), kept, *extremes)
