"""Chooses the store the configuration asks for."""

from __future__ import annotations

from cloud.config import TimeSeries, read_secret
from cloud.timeseries.base import TimeSeriesStore
from cloud.timeseries.influx.store import InfluxStore
from cloud.timeseries.sqlite import SqliteStore


def make_store(config: TimeSeries) -> TimeSeriesStore:
    """InfluxDB if configured, else the embedded file. Raises ConfigError for an unreadable password or token file."""
    if config.influxdb is None:
        return SqliteStore(config.sqlite_path)
    secret, token = config.influxdb.password_file, config.influxdb.token_file
    return InfluxStore(config, read_secret(secret) if secret else "", read_secret(token) if token else "")
