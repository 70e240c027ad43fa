"""What every time-series store must do, on SQLite and on a real InfluxDB."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cloud.cli import main
from cloud.config import InfluxDB, TimeSeries
from cloud.timeseries.base import (
    Delivery,
    Point,
    Resolution,
    Sample,
    StoreError,
    StoreRefusedError,
    TimeSeriesStore,
    Window,
)
from cloud.timeseries.influx import rollups
from cloud.timeseries.influx.server import Series
from cloud.timeseries.influx.store import InfluxStore
from cloud.timeseries.lines import point_line
from cloud.timeseries.sqlite import SqliteStore
from protocols.wire import Lane
from tests.support.servers import Influx2Server, InfluxServer


def influx_store(url: str, **options: Any) -> InfluxStore:
    """A store on a database of its own."""
    database = InfluxDB(url=url, database=f"t{uuid.uuid4().hex}", **options)
    return InfluxStore(TimeSeries(influxdb=database, raw_retention_days=3650), token="test-token")


T0 = 1_795_000_000_000


@pytest.fixture(params=["sqlite", "influxdb", "influxdb2"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TimeSeriesStore]:
    made: TimeSeriesStore
    if request.param == "sqlite":
        made = SqliteStore(tmp_path / "series.db")
    elif request.param == "influxdb":
        server: InfluxServer = request.getfixturevalue("influx_server")
        made = influx_store(server.url)
    else:
        made = influx_store(request.getfixturevalue("influx2_server").url, org="anju")
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


def _line(point: Point, store: TimeSeriesStore) -> Point | str:
    return point_line(point) if store.takes_lines else point


async def _quarter(store: TimeSeriesStore) -> int:
    """Fill a quarter of an hour of two homes; returns its begin (ms)."""
    begin = T0 // 900_000 * 900_000
    points = [_pulse(begin + i * 1000, float(60 + i % 30)) for i in range(900)]
    points += [_pulse(begin, 50.0, "h-2"), _pulse(begin + 900_000, 200.0), _pulse(begin - 1, 200.0)]
    points += [Point("activity", "h-1", "pir-1", begin + i * 1000, {"motion": i % 2 == 0}) for i in range(3)]
    points += [Point("location", "h-1", "tag-1", begin + 5, {"room": "kitchen"})]
    await store.write([_line(p, store) for p in points], [])
    return begin


async def test_windows_of_a_quarter(store: TimeSeriesStore) -> None:
    """Count, last, extremes and mean of each metric; the edges belong to one window only; only the homes asked for."""
    begin = await _quarter(store)
    found = await store.windows(Resolution.QUARTER, begin, begin + 900_000, ["h-1", "h-2"])
    by_key = {(w.home, w.device, w.metric): w for w in found}
    pulse = by_key["h-1", "oxi-1", "heart_rate"]
    assert (pulse.count, pulse.last, pulse.low, pulse.high) == (900, 89.0, 60.0, 89.0)
    assert pulse.mean == pytest.approx(74.5)
    assert by_key["h-1", "pir-1", "motion"] == Window("h-1", "pir-1", "motion", begin, 3, True)
    assert by_key["h-1", "tag-1", "room"] == Window("h-1", "tag-1", "room", begin, 1, "kitchen")
    assert by_key["h-2", "oxi-1", "heart_rate"].count == 1
    assert {w.home for w in await store.windows(Resolution.QUARTER, begin, begin + 900_000, ["h-2"])} == {"h-2"}
    assert await store.windows(Resolution.QUARTER, begin, begin + 900_000, []) == []
    assert await store.windows(Resolution.QUARTER, begin - 10**7, begin - 9 * 10**6, ["h-1"]) == []


async def test_windows_of_many_homes(store: TimeSeriesStore) -> None:
    """Each is there once, whatever the sizes of the pieces of an answer; a home without values costs nothing."""
    begin = T0 // 900_000 * 900_000
    homes = [f"h-{i}" for i in range(250)]
    points = [_pulse(begin + 1000 * j, 60.0 + i % 7, home) for i, home in enumerate(homes) for j in range(3)]
    await store.write([_line(p, store) for p in points], [])
    found = await store.windows(Resolution.QUARTER, begin, begin + 900_000, homes)
    assert sorted(w.home for w in found) == sorted(homes)
    assert {w.count for w in found} == {3}
    some = await store.windows(Resolution.QUARTER, begin, begin + 900_000, [*homes[:150], "h-unknown"])
    assert sorted(w.home for w in some) == sorted(homes[:150])


def test_an_answer_may_split_a_series() -> None:
    """InfluxDB ends a piece of its answer after so many rows, in the middle of a series."""
    tags = {"home": "h-1", "device": "d-1"}
    pieces: list[list[list[Any]]] = [[[1, 60.0, None], [2, 80.0, True]], [[3, None, False]], [[4, 70.0, None]]]
    windows = rollups.Windows(Resolution.QUARTER, 0)
    for rows in pieces:
        windows.add([Series(["time", "heart_rate", "motion"], rows, "vitals", tags)])
    assert windows.windows() == [
        Window("h-1", "d-1", "heart_rate", 0, 3, 70.0, 60.0, 80.0, 70.0),
        Window("h-1", "d-1", "motion", 0, 2, False),
    ]


async def test_days_come_from_quarters(store: TimeSeriesStore) -> None:
    """A day's count, extremes and mean follow from its quarters; written twice it is there once; both can be read."""
    day = T0 // 86_400_000 * 86_400_000
    quarters = [
        Window("h-1", "oxi-1", "heart_rate", day + i * 900_000, 10, 70.0 + i, 60.0 - i, 90.0 + i, 75.0 + i)
        for i in range(4)
    ]
    quarters.append(Window("h-1", "pir-1", "motion", day, 4, False))
    for _ in range(2):
        await store.write_windows(Resolution.QUARTER, quarters)
    found = {w.metric: w for w in await store.windows(Resolution.DAY, day, day + 86_400_000, ["h-1"])}
    pulse = found["heart_rate"]
    assert (pulse.count, pulse.last, pulse.low, pulse.high) == (40, 73.0, 57.0, 93.0)
    assert pulse.mean == pytest.approx(76.5)
    assert found["motion"] == Window("h-1", "pir-1", "motion", day, 4, False)
    await store.write_windows(Resolution.DAY, list(found.values()))
    span = ("h-1", ["heart_rate", "motion", "weight"], day / 1000, day / 1000 + 86_400)
    pulses, motion = await store.range(*span, resolution=Resolution.QUARTER)
    assert pulses.values == (70.0, 71.0, 72.0, 73.0)
    assert (pulses.low, pulses.high) == ((60.0, 59.0, 58.0, 57.0), (90.0, 91.0, 92.0, 93.0))
    assert (motion.values, motion.low) == ((False,), None)
    days = await store.range(*span, resolution=Resolution.DAY)
    assert [(s.metric, s.at) for s in days] == [("heart_rate", (day / 1000,)), ("motion", (day / 1000,))]


async def test_proofs_name_every_batch(store: TimeSeriesStore) -> None:
    """What the audit reads: all homes or one, and two times for one number where a batch was changed."""
    pairs = [(h, seq) for h in (1, 2) for seq in (1, 2)]
    proofs = [Delivery(f"h-{h}", f"gw-{h}", "00000000000000aa", "live", seq, T0 + seq, 1) for h, seq in pairs]
    await store.write([], proofs)
    all_of = [p async for piece in store.proofs(T0 / 1000, T0 / 1000 + 1) for p in piece]
    assert sorted((p.home, p.gateway, p.seq) for p in all_of) == [
        ("h-1", "gw-1", 1), ("h-1", "gw-1", 2), ("h-2", "gw-2", 1), ("h-2", "gw-2", 2)
    ]  # fmt: skip
    one = [p.seq async for piece in store.proofs(T0 / 1000, T0 / 1000 + 1, "h-2") for p in piece]
    assert sorted(one) == [1, 2]
    assert [p async for piece in store.proofs(0, 1) for p in piece] == []


async def test_retention(tmp_path: Path) -> None:
    """The embedded file forgets what is old, keeps the rest, and gives the room back while others write."""
    store = SqliteStore(tmp_path / "series.db")
    await store.open()
    proof = Delivery("h-1", "gw-1", "a" * 16, "live", 1, T0, 1)
    await store.write([_pulse(T0 + i, float(i)) for i in range(60_000)], [proof])
    before = await store.size_bytes()
    dropping = asyncio.create_task(store.drop_before(Resolution.RAW, T0 + 59_000))
    await store.write([_pulse(T0 + 70_000, 1.0)], [])
    assert await dropping == 59_001
    (series,) = await store.range("h-1", ["heart_rate"], T0 / 1000 - 1, T0 / 1000 + 100, max_points=5_000)
    assert len(series.at) == 1_001
    assert await store.delivered("gw-1", 0, 4e9) == {}
    await store.close()
    assert before is not None
    assert (tmp_path / "series.db").stat().st_size < before / 4


async def test_clock(store: TimeSeriesStore) -> None:
    """A server's clock is a second opinion; the embedded store has none."""
    found = await store.clock()
    assert (found is None) == isinstance(store, SqliteStore)
    assert found is None or abs(found - time.time()) < 5


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


async def test_all_refused_is_found_at_once(influx_server: InfluxServer) -> None:
    """Where every line has the wrong type the server says so by its count, and no halving is needed."""
    store = influx_store(influx_server.url)
    await store.open()
    await store.write([_pulse(T0, 70.0)], [])
    bad = [Point("vitals", "h-1", "oxi-1", T0 + i, {"heart_rate": "fast"}) for i in range(2_000)]
    began = time.monotonic()
    with pytest.raises(StoreRefusedError) as caught:
        await store.write(bad, [])
    assert len(caught.value.points) == 2_000
    assert time.monotonic() - began < 20  # halving down to single lines takes minutes
    await store.close()


async def test_proofs_beyond_retention_are_refused_by_index(influx_server: InfluxServer) -> None:
    """A proof that the server will never keep is named, so that its batch can be quarantined instead of retried."""
    store = InfluxStore(TimeSeries(influxdb=InfluxDB(url=influx_server.url, database=f"t{uuid.uuid4().hex}")))
    await store.open()
    now = int(time.time() * 1000)
    proofs = [Delivery("h-1", "gw-1", "a" * 16, "live", i, at, 1) for i, at in enumerate((now, 1, now), 1)]
    with pytest.raises(StoreRefusedError) as caught:
        await store.write([], proofs)
    assert (caught.value.points, sorted(caught.value.deliveries)) == ({}, [1])
    assert await store.delivered("gw-1", 0, 4e9) == {("a" * 16, Lane.LIVE): [(1, 1), (3, 3)]}
    await store.close()


async def test_init_and_check(influx_server: InfluxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`timeseries init` says what it made, again nothing; `check` names what is missing, in a line each."""
    config = tmp_path / "cloud.toml"
    config.write_text(f'[timeseries.influxdb]\nurl = "{influx_server.url}"\ndatabase = "t{uuid.uuid4().hex}"\n')
    where = ["--config", str(config)]

    async def run(arguments: list[str]) -> int:
        return await asyncio.to_thread(main, arguments)

    assert await run(["timeseries", "check", *where]) == 1
    assert "has no database" in capsys.readouterr().out
    assert await run(["timeseries", "init", *where]) == 0
    made = capsys.readouterr().out
    assert "retention policy rollup: created, keeps INF" in made
    assert "retention policy autogen: 0s → 2160h" in made
    assert await run(["timeseries", "init", *where]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert await run(["timeseries", "check", *where]) == 0
    assert "ok   InfluxDB" in capsys.readouterr().out
    config.write_text('[timeseries.influxdb]\nurl = "http://127.0.0.1:9"\n')
    assert await run(["timeseries", "check", *where]) == 1
    assert "127.0.0.1:9" in capsys.readouterr().err
    config.write_text(f'[timeseries.influxdb]\nurl = "{influx_server.url}"\norg = "anju"\n')
    assert await run(["timeseries", "init", *where]) == 1


async def test_wrong_token_is_waited_out(influx2_server: Influx2Server) -> None:
    """A token without rights is a fault of the set-up: nothing is refused, everything is held."""
    config = InfluxDB(url=influx2_server.url, org="anju", database=f"t{uuid.uuid4().hex}")
    store = InfluxStore(TimeSeries(influxdb=config), token="wrong")
    with pytest.raises(StoreError, match="401"):
        await store.open()
    with pytest.raises(StoreError, match="401"):
        await store.write([_pulse(T0, 1.0)], [])
    assert "401" in str(await store.check())
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
