"""InfluxDB 1.8 and newer: ready lines to /api/v2/write by influxdb-client, InfluxQL from /query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aiohttp
import httpx
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.rest import ApiException

from cloud.config import InfluxDB
from cloud.timeseries.base import Delivery, Point, Sample, Series, StoreError, StoreRefusedError
from cloud.timeseries.lines import delivery_line, point_line
from cloud.timeseries.sqlite import window_ms
from protocols.delivery import RangeSet
from protocols.metrics import METRICS, Measurement, Type
from protocols.wire import Lane, SeqRange

_BATCH_LINES = 5_000
_WRONG_DATA = frozenset({400, 413, 422})


class InfluxStore:
    """See `TimeSeriesStore`."""

    def __init__(self, config: InfluxDB, password: str = "") -> None:
        self._config = config
        self._password = password
        self._writer: InfluxDBClientAsync | None = None
        self._reader: httpx.AsyncClient | None = None

    async def open(self) -> None:
        """Connect, and create the database if it is not there. Raises StoreError."""
        config = self._config
        token = f"{config.username}:{self._password}" if config.username else ""
        self._writer = InfluxDBClientAsync(config.url, token=token, org="-", timeout=int(config.timeout_s * 1000))
        auth = httpx.BasicAuth(config.username, self._password) if config.username else None
        self._reader = httpx.AsyncClient(base_url=config.url, auth=auth, timeout=config.timeout_s)
        await self._create_database()

    async def _create_database(self) -> None:
        await self._query(f'CREATE DATABASE "{self._config.database}"', post=True)

    async def close(self) -> None:
        """Close the connections."""
        if self._writer is not None:
            await self._writer.close()  # type: ignore[no-untyped-call]
        if self._reader is not None:
            await self._reader.aclose()

    async def write(self, points: Sequence[Point], deliveries: Sequence[Delivery]) -> None:
        """Store points, then the proofs of their batches. Raises StoreError, StoreRefusedError."""
        lines = [point_line(p) for p in points]
        refused: dict[int, str] = {}
        for begin in range(0, len(lines), _BATCH_LINES):
            refused |= await self._write_lines(lines[begin : begin + _BATCH_LINES], begin)
        unproven = await self._write_lines([delivery_line(d) for d in deliveries], 0)
        if unproven:
            raise StoreError(f"delivery proofs were refused: {next(iter(unproven.values()))}")
        if refused:
            raise StoreRefusedError(refused)

    async def _write_lines(self, lines: list[str], begin: int) -> dict[int, str]:
        """Write; where the server refuses, halve until the lines it means are found. Returns them by index."""
        if not lines:
            return {}
        if self._writer is None:
            raise StoreError("the store is not open")
        bucket = f"{self._config.database}/{self._config.retention_policy}"
        body = "\n".join(lines).encode()
        try:
            await self._writer.write_api().write(bucket, record=body, write_precision="ns")  # type: ignore[arg-type]
        except ApiException as error:
            if error.status == 404:
                await self._create_database()
            if error.status not in _WRONG_DATA:
                raise StoreError(f"{self._config.url}: {error.status} {error.reason}") from error
            if len(lines) == 1:
                return {begin: str(error.message or error.reason)[:300]}
            half = len(lines) // 2
            first = await self._write_lines(lines[:half], begin)
            return first | await self._write_lines(lines[half:], begin + half)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise StoreError(f"{self._config.url}: {error or type(error).__name__}") from error
        return {}

    async def _query(self, query: str, *, post: bool = False) -> list[dict[str, Any]]:
        """The series of all statements; times come as milliseconds. Raises StoreError."""
        if self._reader is None:
            raise StoreError("the store is not open")
        values = {"db": self._config.database, "q": query, "epoch": "ms"}
        if not post:
            values["rp"] = self._config.retention_policy
        try:
            answer = await self._reader.request("POST" if post else "GET", "/query", params=values)
        except httpx.HTTPError as error:
            raise StoreError(f"{self._config.url}: {error or type(error).__name__}") from error
        if answer.status_code != 200:
            raise StoreError(f"{self._config.url}: {answer.status_code} {answer.text[:300]}")
        results = answer.json().get("results", [])
        for result in results:
            if "error" in result:
                raise StoreError(f"{self._config.url}: {result['error']}")
        return [series for result in results for series in result.get("series", ())]

    async def latest(self, home: str) -> list[Sample]:
        """Latest value of every metric of one home."""
        statements = "; ".join(
            f"SELECT {_last_fields(m)} FROM \"{m}\" WHERE home = '{_quoted(home)}' GROUP BY device" for m in Measurement
        )
        names = await self._last_times(f"home = '{_quoted(home)}'", statements)
        return sorted(names, key=lambda s: (s.device, s.metric))

    async def _last_times(self, where: str, statements: str) -> list[Sample]:
        """`last()` of several fields loses each one's time, so each field that has a value is asked by itself."""
        wanted: list[tuple[str, str, str]] = []
        for series in await self._query(statements):
            for name, value in zip(series["columns"][1:], series["values"][0][1:], strict=True):
                if value is not None:
                    wanted.append((series["name"], series["tags"]["device"], name))
        if not wanted:
            return []
        queries = "; ".join(
            f'SELECT last("{metric}") FROM "{measurement}" WHERE {where} AND device = \'{device}\''
            for measurement, device, metric in wanted
        )
        found = await self._query(queries)
        return [
            Sample(device, metric, series["values"][0][0] / 1000, series["values"][0][1])
            for (_, device, metric), series in zip(wanted, found, strict=True)
        ]

    async def latest_all(self, metric: str) -> dict[str, list[Sample]]:
        """Latest value of one metric, by home."""
        known = METRICS[metric]
        homes: dict[str, list[Sample]] = {}
        for series in await self._query(f'SELECT last("{metric}") FROM "{known.measurement}" GROUP BY home, device'):
            tags, (at, value) = series["tags"], series["values"][0]
            homes.setdefault(tags["home"], []).append(Sample(tags["device"], metric, at / 1000, value))
        return homes

    async def range(
        self, home: str, metrics: Sequence[str], start: float, end: float, *, max_points: int = 1_000
    ) -> list[Series]:
        """Series of one home in time order, `start` included, `end` not."""
        first, last = round(start * 1000), round(end * 1000)
        where = f"home = '{_quoted(home)}' AND time >= {first}ms AND time < {last}ms"
        counts = "; ".join(
            f'SELECT count("{m}") FROM "{METRICS[m].measurement}" WHERE {where} GROUP BY device' for m in metrics
        )
        if not metrics:
            return []
        many: set[str] = set()
        some: set[str] = set()
        for metric, series in zip(metrics, await self._by_statement(counts), strict=True):
            highest = max((s["values"][0][1] for s in series), default=0)
            if highest:
                (many if highest > max_points and METRICS[metric].type is Type.NUMBER else some).add(metric)
        result: list[Series] = []
        for metric in metrics:
            if metric in some:
                result += await self._plain(metric, where)
            elif metric in many:
                result += await self._thinned(metric, where, window_ms(first, last, max_points))
        return sorted(result, key=lambda s: (s.device, s.metric))

    async def _by_statement(self, statements: str) -> list[list[dict[str, Any]]]:
        return [await self._query(statement) for statement in statements.split("; ")]

    async def _plain(self, metric: str, where: str) -> list[Series]:
        found = await self._query(
            f'SELECT "{metric}" FROM "{METRICS[metric].measurement}" WHERE {where} GROUP BY device'
        )
        return [
            Series(
                series["tags"]["device"],
                metric,
                tuple(at / 1000 for at, _ in series["values"]),
                tuple(value for _, value in series["values"]),
            )
            for series in found
        ]

    async def _thinned(self, metric: str, where: str, width: int) -> list[Series]:
        found = await self._query(
            f'SELECT last("{metric}"), min("{metric}"), max("{metric}") FROM "{METRICS[metric].measurement}"'
            f" WHERE {where} GROUP BY time({width}ms), device fill(none)"
        )
        result = []
        for series in found:
            at, values, low, high = zip(*series["values"], strict=True)
            result.append(Series(series["tags"]["device"], metric, tuple(t / 1000 for t in at), values, low, high))
        return result

    async def delivered(self, gateway: str, start: float, end: float) -> dict[tuple[str, Lane], list[SeqRange]]:
        """Sequences proven to have arrived, from batches sent between `start` and `end`."""
        rows = await self._query(
            f"SELECT epoch, seq, lane FROM delivery WHERE device = '{_quoted(gateway)}'"
            f" AND time >= {round(start * 1000)}ms AND time < {round(end * 1000)}ms"
        )
        found: dict[tuple[str, Lane], RangeSet] = {}
        for series in rows:
            for _, epoch, seq, lane in series["values"]:
                found.setdefault((epoch, Lane(lane)), RangeSet()).add(seq)
        return {key: list(ranges) for key, ranges in found.items()}

    async def check(self) -> str | None:
        """None if the server answers and has the database."""
        try:
            names = [row[0] for s in await self._query("SHOW DATABASES") for row in s["values"]]
        except StoreError as error:
            return str(error)
        return None if self._config.database in names else f"{self._config.url} has no database {self._config.database}"


def _last_fields(measurement: Measurement) -> str:
    return ", ".join(f'last("{m.name}") AS "{m.name}"' for m in METRICS.values() if m.measurement is measurement)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
