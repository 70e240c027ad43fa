"""The store on InfluxDB: what is written and asked, in line protocol and InfluxQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from cloud.config import TimeSeries
from cloud.timeseries.base import (
    Delivery,
    Point,
    Proof,
    Resolution,
    Sample,
    Series,
    StoreError,
    StoreRefusedError,
    Window,
)
from cloud.timeseries.influx import rollups
from cloud.timeseries.influx.server import InfluxServer, Refused
from cloud.timeseries.lines import delivery_line, point_line
from cloud.timeseries.ranges import ranges_by_lane
from cloud.timeseries.thinning import window_ms
from protocols.metrics import METRICS, Type
from protocols.wire import Lane, SeqRange

_BATCH_LINES = 5_000


class InfluxStore:
    """See `TimeSeriesStore`."""

    takes_lines = True

    def __init__(self, config: TimeSeries, password: str = "", token: str = "") -> None:
        assert config.influxdb is not None
        self._config = config.influxdb
        self.server = InfluxServer(config.influxdb, password, token)
        self.policies: dict[str, float | None] = {
            config.influxdb.retention_policy: config.raw_retention_days,
            config.influxdb.rollup_policy: config.rollup_retention_days,
        }

    async def open(self) -> None:
        """Connect, and create what is missing. Raises StoreError."""
        await self.server.open()
        await self.server.create(self.policies)

    async def close(self) -> None:
        """Close the connections."""
        await self.server.close()

    async def write(self, points: Sequence[Point | str], deliveries: Sequence[Delivery]) -> None:
        """Store points, then the proofs of their batches. Raises StoreError, StoreRefusedError."""
        lines = [point if isinstance(point, str) else point_line(point) for point in points]
        refused: dict[int, str] = {}
        policy = self._config.retention_policy
        for begin in range(0, len(lines), _BATCH_LINES):
            refused |= await self._write_lines(policy, lines[begin : begin + _BATCH_LINES], begin)
        proofs = [delivery_line(d) for d in deliveries]
        unproven: dict[int, str] = {}
        for begin in range(0, len(proofs), _BATCH_LINES):
            unproven |= await self._write_lines(policy, proofs[begin : begin + _BATCH_LINES], begin)
        if refused or unproven:
            raise StoreRefusedError(refused, unproven)

    async def _write_lines(self, policy: str, lines: list[str], begin: int) -> dict[int, str]:
        """Write; where the server refuses, halve until the lines it means are found. Returns them by index."""
        if not lines:
            return {}
        try:
            await self.server.write(policy, "\n".join(lines).encode())
        except Refused as refused:
            if len(lines) == 1 or refused.dropped == len(lines):
                return {begin + i: refused.words[:300] for i in range(len(lines))}
            half = len(lines) // 2
            first = await self._write_lines(policy, lines[:half], begin)
            return first | await self._write_lines(policy, lines[half:], begin + half)
        return {}

    async def write_windows(self, resolution: Resolution, windows: Sequence[Window]) -> None:
        """Store roll-ups. Raises StoreError."""
        lines = rollups.window_lines(resolution, windows)
        for begin in range(0, len(lines), _BATCH_LINES):
            refused = await self._write_lines(self._config.rollup_policy, lines[begin : begin + _BATCH_LINES], begin)
            if refused:
                raise StoreError(f"roll-ups were refused: {next(iter(refused.values()))}")

    async def windows(self, resolution: Resolution, start_ms: int, end_ms: int, homes: Sequence[str]) -> list[Window]:
        """What one window of these homes, some hundred, holds. Raises StoreError."""
        if not homes:
            return []
        config = self._config
        source = config.retention_policy if resolution is Resolution.QUARTER else config.rollup_policy
        place = f'"{config.database}"."{source}"'
        found = rollups.Windows(resolution, start_ms)
        async for series in self.server.stream(rollups.values_statement(resolution, place, start_ms, end_ms, homes)):
            found.add(series)
        return found.windows()

    async def drop_before(self, resolution: Resolution, before_ms: int) -> int:
        """The server drops whole shards by itself."""
        return 0

    async def size_bytes(self) -> int | None:
        """The server does not tell by InfluxQL."""
        return None

    async def latest(self, home: str) -> list[Sample]:
        """Latest value of every metric of one home: a statement for each metric, all in one request."""
        names = list(METRICS)
        where = f"home = '{rollups.quoted(home)}'"
        found = await self.server.query(
            [f'SELECT last("{n}") FROM "{METRICS[n].measurement}" WHERE {where} GROUP BY device' for n in names]
        )
        samples = [
            Sample(series.tags["device"], name, series.values[0][0] / 1000, series.values[0][1])
            for name, several in zip(names, found, strict=True)
            for series in several
        ]
        return sorted(samples, key=lambda s: (s.device, s.metric))

    async def latest_all(self, metric: str) -> dict[str, list[Sample]]:
        """Latest value of one metric, by home."""
        homes: dict[str, list[Sample]] = {}
        statement = f'SELECT last("{metric}") FROM "{METRICS[metric].measurement}" GROUP BY home, device'
        async for piece in self.server.stream(statement):
            for series in piece:
                at, value = series.values[0]
                homes.setdefault(series.tags["home"], []).append(
                    Sample(series.tags["device"], metric, at / 1000, value)
                )
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
        where = f"home = '{rollups.quoted(home)}' AND time >= {first}ms AND time < {last}ms"
        if resolution is not Resolution.RAW:
            return await self._rolled_up(metrics, where, resolution)
        counts = await self.server.query(
            [f'SELECT count("{m}") FROM "{METRICS[m].measurement}" WHERE {where} GROUP BY device' for m in metrics]
        )
        statements = {
            metric: _statement(
                metric, where, window_ms(first, last, max_points) if _is_many(metric, n, max_points) else 0
            )
            for metric, series in zip(metrics, counts, strict=True)
            if (n := max((s.values[0][1] for s in series), default=0))
        }
        found = await self.server.query(list(statements.values()))
        result = []
        for metric, several in zip(statements, found, strict=True):
            for series in several:
                at, values, *extremes = zip(*series.values, strict=True)
                result.append(Series(series.tags["device"], metric, tuple(t / 1000 for t in at), values, *extremes))
        return sorted(result, key=lambda s: (s.device, s.metric))

    async def _rolled_up(self, metrics: Sequence[str], where: str, resolution: Resolution) -> list[Series]:
        source = f'"{self._config.database}"."{self._config.rollup_policy}"'
        found = await self.server.query([rollups.read_statement(m, source, resolution, where) for m in metrics])
        result = []
        for metric, several in zip(metrics, found, strict=True):
            for series in several:
                at, values, *extremes = zip(*series.values, strict=True)
                result.append(Series(series.tags["device"], metric, tuple(t / 1000 for t in at), values, *extremes))
        return sorted(result, key=lambda s: (s.device, s.metric))

    async def delivered(self, gateway: str, start: float, end: float) -> dict[tuple[str, Lane], list[SeqRange]]:
        """Sequences proven to have arrived, from batches sent between `start` and `end`."""
        where = f"device = '{rollups.quoted(gateway)}' AND {_between(start, end)}"
        (found,) = await self.server.query([f"SELECT epoch, seq, lane FROM delivery WHERE {where}"])
        return ranges_by_lane((epoch, Lane(lane), seq) for s in found for _, epoch, seq, lane in s.values)

    async def proofs(self, start: float, end: float, home: str | None = None) -> AsyncIterator[list[Proof]]:
        """Every `delivery` entry, piece by piece."""
        where = _between(start, end) + (f" AND home = '{rollups.quoted(home)}'" if home is not None else "")
        statement = f"SELECT epoch, seq FROM delivery WHERE {where} GROUP BY home, device, lane"
        async for piece in self.server.stream(statement):
            for s in piece:
                tags, lane = s.tags, Lane(s.tags["lane"])
                yield [Proof(tags["home"], tags["device"], epoch, lane, seq, at) for at, epoch, seq in s.values]

    async def clock(self) -> float | None:
        """The server's time, from the Date of an answer."""
        return await self.server.clock()

    async def check(self) -> str | None:
        """None if the server can be used, else the first thing that is wrong."""
        try:
            found = await self.server.problems(self.policies)
        except StoreError as error:
            return str(error)
        return found[0] if found else None


def _between(start: float, end: float) -> str:
    return f"time >= {round(start * 1000)}ms AND time < {round(end * 1000)}ms"


def _is_many(metric: str, count: int, max_points: int) -> bool:
    return count > max_points and METRICS[metric].type is Type.NUMBER


def _statement(metric: str, where: str, width: int) -> str:
    source = METRICS[metric].measurement
    if not width:
        return f'SELECT "{metric}" FROM "{source}" WHERE {where} GROUP BY device'
    return (
        f'SELECT last("{metric}"), min("{metric}"), max("{metric}") FROM "{source}"'
        f" WHERE {where} GROUP BY time({width}ms), device fill(none)"
    )
