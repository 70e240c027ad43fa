"""What every time-series store must do, on SQLite and on a real InfluxDB."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cloud.config import InfluxDB, TimeSeries
from cloud.timeseries.base import Delivery, Point, Sample, StoreError, StoreRefusedError, TimeSeriesStore
from cloud.timeseries.influx.store import InfluxStore
from cloud.timeseries.sqlite import SqliteStore
from protocols.wire import Lane
from tests.support.servers import InfluxServer


def influx_store(url: str, **options: Any) -> InfluxStore:
    """A store on a database of its own."""
    database = InfluxDB(url=url, database=f"t{uuid.uuid4().hex}", **options)
    return InfluxStore(TimeSeries(influxdb=database, raw_retention_days=3650), token="test-token")


T0 = 1_795_000_000_000


@pytest.fixture(params=["sqlite", "influxdb"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TimeSeriesStore]:
    made: TimeSeriesStore
    if request.param == "sqlite":
        made = SqliteStore(tmp_path / "series.db")
    else:
        server: InfluxServer = request.getfixturevalue("influx_server")
        made = influx_store(server.url)
    await made.open()
    yield made
    await made.close()


def _pulse(at_ms: int, value: float, home: str = "h-1") -> Point:
    return Point("vitals", home, "oxi-1", at_ms, {"heart_rate": value})


async def test_latest_and_range(store: TimeSeriesStore) -> None:
    """All three types come back with their times; late data never replaces what is newer."""
    await store.write(
        [
            Point("vitals", "h-1", "oxi-1", T0, {"heart_rate": 71.0, "spo2": 97.5}),
            Point("activity", "h-1", "door-1", T0 + 5, {"contact_open": True}),
            Point("location", "h-1", "tag-1", T0, {"room": 'say "hi", \\ ok'}),
            _pulse(T0 + 1000, 80.0),
        ],
        [],
    )
    await store.write([_pulse(T0 + 500, 75.0), _pulse(T0, 1.0, "h-2")], [])
    assert await store.latest("h-1") == [
        Sample("door-1", "contact_open", (T0 + 5) / 1000, True),
        Sample("oxi-1", "heart_rate", (T0 + 1000) / 1000, 80.0),
        Sample("oxi-1", "spo2", T0 / 1000, 97.5),
        Sample("tag-1", "room", T0 / 1000, 'say "hi", \\ ok'),
    ]
    series = await store.range("h-1", ["heart_rate", "contact_open", "weight"], T0 / 1000, T0 / 1000 + 2)
    assert [(s.device, s.metric, s.at, s.values) for s in series] == [
        ("door-1", "contact_open", ((T0 + 5) / 1000,), (True,)),
        ("oxi-1", "heart_rate", (T0 / 1000, T0 / 1000 + 0.5, T0 / 1000 + 1), (71.0, 75.0, 80.0)),
    ]
    assert await store.range("h-1", ["heart_rate"], T0 / 1000 + 2, T0 / 1000 + 3) == []
    assert await store.range("nobody", ["heart_rate"], 0, T0 / 1000) == []
    assert {home: [s.value for s in found] for home, found in (await store.latest_all("heart_rate")).items()} == {
        "h-1": [80.0],
        "h-2": [1.0],
    }


async def test_writing_twice_changes_nothing(store: TimeSeriesStore) -> None:
    """The same batch again, as after a lost acknowledgement, leaves one copy of everything."""
    points = [_pulse(T0 + i * 1000, float(i)) for i in range(20)]
    proof = [Delivery("h-1", "gw-1", "00000000000000aa", Lane.LIVE, 7, T0, 20)]
    for _ in range(3):
        await store.write(points, proof)
    (series,) = await store.range("h-1", ["heart_rate"], T0 / 1000, T0 / 1000 + 60)
    assert series.values == tuple(float(i) for i in range(20))
    assert await store.delivered("gw-1", T0 / 1000 - 1, T0 / 1000 + 1) == {("00000000000000aa", Lane.LIVE): [(7, 7)]}


async def test_deliveries_of_one_millisecond_are_kept_apart(store: TimeSeriesStore) -> None:
    """Batches closed in the same millisecond, and lanes with equal numbers, prove themselves each."""
    proofs = [
        Delivery("h-1", "gw-1", "00000000000000aa", lane, seq, T0, 1)
        for lane in (Lane.LIVE, Lane.BACKLOG)
        for seq in (1, 2, 4)
    ]
    await store.write([], proofs)
    found = await store.delivered("gw-1", T0 / 1000 - 1, T0 / 1000 + 1)
    assert found == {("00000000000000aa", lane): [(1, 2), (4, 4)] for lane in (Lane.LIVE, Lane.BACKLOG)}


async def test_long_series_are_thinned_with_their_extremes(store: TimeSeriesStore) -> None:
    """A chart of a long time gets few points, and no peak is lost."""
    values = [60.0 + (i % 7) for i in range(3000)]
    values[1234] = 190.0
    await store.write([_pulse(T0 + i * 1000, v) for i, v in enumerate(values)], [])
    (series,) = await store.range("h-1", ["heart_rate"], T0 / 1000, T0 / 1000 + 3000, max_points=100)
    assert 50 <= len(series.at) <= 101
    assert series.high is not None
    assert series.low is not None
    assert max(series.high) == 190.0
    assert min(series.low) == 60.0
    assert list(series.at) == sorted(series.at)
    assert series.values[-1] == values[-1]


async def test_check_says_nothing_when_well(store: TimeSeriesStore) -> None:
    """A store that works has no problem to name."""
    assert await store.check() is None


async def test_influx_names_the_refused_points(influx_server: InfluxServer) -> None:
    """Of 40 points two have the wrong type: exactly these are refused by index, the others are stored."""
    store = influx_store(influx_server.url)
    await store.open()
    await store.write([_pulse(T0, 70.0)], [])
    points = [_pulse(T0 + i * 1000, float(i)) for i in range(40)]
    for i in (3, 31):
        points[i] = Point("vitals", "h-1", "oxi-1", T0 + i * 1000, {"heart_rate": "fast"})
    with pytest.raises(StoreRefusedError) as caught:
        await store.write(points, [])
    assert sorted(caught.value.points) == [3, 31]
    (series,) = await store.range("h-1", ["heart_rate"], T0 / 1000, T0 / 1000 + 60)
    assert len(series.at) == 38
    await store.close()


async def test_an_absent_influx_is_a_store_error() -> None:
    """A server that is away raises StoreError from every method, and `check` says so in one line."""
    store = InfluxStore(TimeSeries(influxdb=InfluxDB(url="http://127.0.0.1:9", timeout_s=2)))
    with pytest.raises(StoreError):
        await store.open()
    with pytest.raises(StoreError):
        await store.write([_pulse(T0, 1.0)], [])
    with pytest.raises(StoreError):
        await store.latest("h-1")
    assert "127.0.0.1:9" in str(await store.check())
    await store.close()


async def test_a_file_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    """A path that is no database raises StoreError with the path."""
    (tmp_path / "x.db").write_text("this is not a database, it is a sentence that is long enough")
    store = SqliteStore(tmp_path / "x.db")
    with pytest.raises(StoreError, match=r"x\.db"):
        await store.open()
    await store.close()
