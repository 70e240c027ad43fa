"""The same writes and five typical reads on every store: embedded SQLite, InfluxDB 1.8, 2.7 where it is built."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from cloud.config import InfluxDB, TimeSeries
from cloud.timeseries.base import Delivery, Point, Resolution, TimeSeriesStore
from cloud.timeseries.influx.store import InfluxStore
from cloud.timeseries.lines import point_line
from cloud.timeseries.sqlite import SqliteStore
from tests.bench import report
from tests.support.servers import influxdb, influxdb2

_NUMBERS = ("heart_rate", "spo2", "respiration_rate", "body_temperature", "systolic", "diastolic", "glucose", "weight")


async def _one(store: TimeSeriesStore, homes: int, points: int) -> dict[str, float]:
    """Microseconds a value written, and milliseconds of each read (median of five)."""
    await store.open()
    begin = int(time.time() * 1000) - points * 10_000
    begun = time.perf_counter()
    for at in range(begin, begin + points * 10_000, 10_000):
        rows: list[Point | str] = []
        for home in range(homes):
            fields: dict[str, float | bool | str] = dict.fromkeys(_NUMBERS, 60.0 + (at // 10000 + home) % 40)
            point = Point("vitals", f"h-{home}", "oximeter-1", at, fields)
            rows.append(point_line(point) if store.takes_lines else point)
        proofs = [
            Delivery(f"h-{h}", f"gw-{h}", "a" * 16, "live", 1 + (at - begin) // 10_000, at, 8) for h in range(homes)
        ]
        for i in range(0, homes, 2_500):
            await store.write(rows[i : i + 2_500], proofs[i : i + 2_500])
    wrote = time.perf_counter() - begun
    end = begin / 1000 + points * 10
    quarter = begin // 900_000 * 900_000

    async def window() -> object:
        for first in range(0, homes, 100):
            some = [f"h-{h}" for h in range(first, min(homes, first + 100))]
            found = await store.windows(Resolution.QUARTER, quarter, quarter + 900_000, some)
            await store.write_windows(Resolution.QUARTER, found)
        return None

    reads: dict[str, Callable[[], Awaitable[object]]] = {
        "latest_of_a_home_ms": lambda: store.latest("h-7"),
        "latest_of_all_homes_ms": lambda: store.latest_all("heart_rate"),
        "range_three_metrics_ms": lambda: store.range("h-7", ["heart_rate", "spo2", "systolic"], begin / 1000, end),
        "range_thinned_ms": lambda: store.range("h-7", ["heart_rate"], begin / 1000, end, max_points=50),
        "rollup_of_all_homes_ms": window,
    }
    found = {"write_us_per_value": wrote / (homes * points * len(_NUMBERS)) * 1e6}
    for name, read in reads.items():
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            await read()
            times.append(time.perf_counter() - begun)
        found[name] = sorted(times)[2] * 1000
    await store.close()
    return found


def main() -> int:
    """Entry point of `scripts/bench stores`."""
    parser = report.parser("stores", "writes and reads of every store")
    parser.add_argument("--homes", type=int, default=2_000)
    parser.add_argument("--points", type=int, default=100, help="of each home, of eight values (default 100)")
    options = parser.parse_args()
    print(f"takes about {options.runs:.0f} minutes", file=sys.stderr)
    runs = []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory(prefix="anju-bench-") as folder, ExitStack() as stack:
            (Path(folder) / "2").mkdir()
            one = stack.enter_context(influxdb(Path(folder) / "1"))
            two = stack.enter_context(influxdb2(Path(folder) / "2"))
            name = f"b{uuid.uuid4().hex}"
            stores: dict[str, TimeSeriesStore] = {"sqlite": SqliteStore(Path(folder) / "series.db")}
            stores["influxdb1"] = InfluxStore(TimeSeries(influxdb=InfluxDB(url=one.url, database=name)))
            if two is not None:
                section = InfluxDB(url=two.url, database=name, org="anju")
                stores["influxdb2"] = InfluxStore(TimeSeries(influxdb=section), token="test-token")
            run: dict[str, float] = {}
            for kind, store in stores.items():
                measured = asyncio.run(_one(store, options.homes, options.points))
                run |= {f"{kind}_{key}": value for key, value in measured.items()}
            runs.append(run)
    return report.finish("stores", options, runs, report.versions(influxd=f"{os.environ['ANJU_INFLUXD']} version"))


if __name__ == "__main__":
    sys.exit(main())
