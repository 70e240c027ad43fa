"""What the tools open and close, and how they read times."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

from cloud.config import CloudConfig, ConfigError
from cloud.context import Context
from cloud.db.engine import Database
from cloud.timeseries.base import TimeSeriesStore
from cloud.timeseries.open import make_store


@asynccontextmanager
async def opened_context(config: CloudConfig) -> AsyncIterator[Context]:
    """A context on the configured database."""
    context = Context(config, Database(config.database.url))
    try:
        yield context
    finally:
        await context.database.close()


@asynccontextmanager
async def opened_store(config: CloudConfig) -> AsyncIterator[TimeSeriesStore]:
    """The configured time series. Raises StoreError."""
    store = make_store(config.timeseries)
    try:
        await store.open()
        yield store
    finally:
        await store.close()


def parse_time(text: str, config: CloudConfig) -> float:
    """Unix seconds of a time as an operator writes it. Raises ConfigError."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no time; write 2026-11-24, 2026-11-24T08:30 or Unix seconds") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(config.supervision.timezone))
    return found.timestamp()


def parse_span(start: str, end: str, config: CloudConfig) -> tuple[float, float]:
    """Two times in order. Raises ConfigError."""
    begin, finish = parse_time(start, config), parse_time(end, config)
    if finish <= begin:
        raise ConfigError(f"--to {end} is not after --from {start}")
    return begin, finish
