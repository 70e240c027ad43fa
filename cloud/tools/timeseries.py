"""`anju-cloud timeseries init|check`."""

from __future__ import annotations

import argparse
import sys

from cloud.config import CloudConfig
from cloud.timeseries.base import StoreError
from cloud.timeseries.influx.store import InfluxStore
from cloud.timeseries.open import make_store


async def init(config: CloudConfig, _options: argparse.Namespace) -> int:
    """Make what is missing and set retention; safe to run again."""
    store = make_store(config.timeseries)
    try:
        if isinstance(store, InfluxStore):
            await store.server.open()
            done = await store.server.create(store.policies)
            print("\n".join(done or [f"{store.server.config.url}: nothing to do"]))
        else:
            await store.open()
            print(f"{config.timeseries.sqlite_path}: ready")
    finally:
        await store.close()
    return 0


async def check(config: CloudConfig, _options: argparse.Namespace) -> int:
    """Name every problem in one line."""
    store = make_store(config.timeseries)
    try:
        if isinstance(store, InfluxStore):
            await store.server.open()
            version = await store.server.version()
            found = await store.server.problems(store.policies)
            where = f"InfluxDB {version} at {store.server.config.url}"
        else:
            await store.open()
            problem = await store.check()
            found = [problem] if problem else []
            where = f"{config.timeseries.sqlite_path}, {(await store.size_bytes() or 0) / 1e6:.1f} MB"
    except StoreError as error:
        print(f"BAD  {error}", file=sys.stderr)
        return 1
    finally:
        await store.close()
    print("\n".join(f"BAD  {line}" for line in found) or f"ok   {where}")
    return 1 if found else 0
