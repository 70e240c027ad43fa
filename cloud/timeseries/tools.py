"""`anju-cloud timeseries`: prepare a store, say what is wrong with one."""

from __future__ import annotations

import sys

from cloud.config import TimeSeries
from cloud.timeseries.base import StoreError
from cloud.timeseries.influx.store import InfluxStore
from cloud.timeseries.open import make_store


async def init(config: TimeSeries) -> int:
    """Make what is missing and set retention; safe to run again. Returns the exit code."""
    store = make_store(config)
    try:
        if isinstance(store, InfluxStore):
            await store.server.open()
            done = await store.server.create(store.policies)
            _say(done or [f"{config.influxdb.url if config.influxdb else ''}: nothing to do"])
        else:
            await store.open()
            _say([f"{config.sqlite_path}: ready"])
    except StoreError as error:
        print(f"anju-cloud: {error}", file=sys.stderr)
        return 1
    finally:
        await store.close()
    return 0


async def check(config: TimeSeries) -> int:
    """Name every problem in one line. Returns the exit code."""
    store = make_store(config)
    try:
        if isinstance(store, InfluxStore):
            await store.server.open()
            version = await store.server.version()
            found = await store.server.problems(store.policies)
            where = f"InfluxDB {version} at {config.influxdb.url if config.influxdb else ''}"
        else:
            await store.open()
            problem = await store.check()
            found = [problem] if problem else []
            size = await store.size_bytes() or 0
            where = f"{config.sqlite_path}, {size / 1e6:.1f} MB"
    except StoreError as error:
        print(f"BAD  {error}", file=sys.stderr)
        return 1
    finally:
        await store.close()
    _say([f"BAD  {line}" for line in found] or [f"ok   {where}"])
    return 1 if found else 0


def _say(lines: list[str]) -> None:
    for line in lines:
        print(line)  # noqa: T201 - this is a command's answer
