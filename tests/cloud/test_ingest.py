"""Telemetry and control messages: the good is stored and acknowledged, the bad is kept with its reason and rejected."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cloud.context import Context
from cloud.db.schema import incidents, quarantine
from cloud.ingest.control import ControlIngest
from cloud.ingest.ledger import stored_ranges
from cloud.ingest.telemetry import TelemetryIngest
from cloud.registry.gateways import GatewayDirectory
from cloud.timeseries.base import Delivery, Point, StoreError
from cloud.timeseries.sqlite import SqliteStore
from protocols.wire import Ack, AlarmState, Lane, Reply, ReplyStatus, decode_ack, encode
from tests.conftest import ManualClock
from tests.support.district import EPOCH, GATEWAY, HOME, alarm, settle

TOPIC = f"anju/v1/{GATEWAY}/up/telemetry"


def _batch(now: float, seq: int = 1, /, **changed: Any) -> bytes:
    records = [
        {"bn": "oxi-1/", "bt": now - 1, "n": "heart_rate", "u": "beat/min", "v": 71},
        {"n": "spo2", "u": "%", "v": 97},
    ]
    batch = {"v": 1, "epoch": EPOCH, "lane": "live", "seq": seq, "clock": "synced", "sent": now, "records": records}
    return json.dumps(batch | changed).encode()


async def _flush(
    context: Context, store: SqliteStore, *messages: tuple[str, bytes]
) -> tuple[dict[str, Ack], Counter[str]]:
    counts: Counter[str] = Counter()
    ingest = TelemetryIngest(context, store, GatewayDirectory(context), counts)
    for topic, payload in messages:
        ingest.take(topic, payload, False)
    return await ingest.flush(), counts


async def _held(context: Context) -> list[dict[str, Any]]:
    async with context.look() as work:
        return await work.all(select(quarantine).order_by(quarantine.c.id))


async def test_good_batches_are_stored_then_acknowledged(
    context: Context, clock: ManualClock, store: SqliteStore
) -> None:
    """Values, proof and ledger are there when the acknowledgement names the sequences as ranges."""
    await settle(context)
    counts: Counter[str] = Counter()
    ingest = TelemetryIngest(context, store, GatewayDirectory(context), counts)
    for n in (1, 2, 3, 7):
        ingest.take(TOPIC, _batch(clock.now + n, n), False)
    acks = await ingest.flush()
    assert acks[GATEWAY].ranges[0].ranges == [(1, 3), (7, 7)]
    assert decode_ack(encode(acks[GATEWAY])) == acks[GATEWAY]
    assert counts["telemetry_batches"] == 4
    (series,) = await store.range(HOME, ["heart_rate"], clock.now - 10, clock.now + 10)
    assert len(series.at) == 4
    assert await store.delivered(GATEWAY, 0, 4e9) == {(EPOCH, Lane.LIVE): [(1, 3), (7, 7)]}
    async with context.look() as work:
        assert await stored_ranges(work, GATEWAY) == {(EPOCH, "live"): [(1, 3), (7, 7)]}
    clock.now += 20
    for n in (2, 4):
        ingest.take(TOPIC, _batch(clock.now - 20 + n, n), False)
    acks = await ingest.flush()
    assert acks[GATEWAY].ranges[0].ranges == [(2, 2), (4, 4)]
    assert counts["telemetry_duplicates"] == 1
    assert counts["telemetry_batches"] == 5, "the one that came again was answered, not written"
    async with context.look() as work:
        assert await stored_ranges(work, GATEWAY) == {(EPOCH, "live"): [(1, 4), (7, 7)]}


@pytest.mark.parametrize(
    ("topic", "payload", "reason", "where"),
    [
        (TOPIC, b"\xff\x00garbage", "malformed", "telemetry"),
        (TOPIC, b"[" * 5000, "malformed", "telemetry"),
        (TOPIC, b"x" * 70_000, "oversized", "telemetry"),
        (TOPIC, b'{"v": 2, "epoch": "00000000000000aa", "lane": "live", "seq": 3}', "wrong_version", "telemetry.v"),
        (TOPIC, _batch(1.795e9, 3, seq=-1), "malformed", "telemetry.seq"),
        (TOPIC, _batch(1.795e9, 3, lane="alarm"), "malformed", "telemetry.lane"),
        (TOPIC, _batch(1.795e9, 3, records=[]), "malformed", "telemetry.records"),
        (TOPIC, _batch(1.795e9, 3).replace(b"71", b"NaN"), "malformed", "telemetry"),
        (TOPIC, _batch(1.795e9, 3).replace(b"71", b"1e999"), "malformed", "telemetry"),
        ("anju/v1/gw-stranger/up/telemetry", _batch(1.795e9, 3), "unknown_gateway", "topic"),
        ("anju/v1/GW DEMO/up/telemetry", _batch(1.795e9, 3), "wrong_topic", "GW DEMO"),
        ("anju/v2/gw-demo/up/telemetry", _batch(1.795e9, 3), "wrong_topic", "anju/v2"),
    ],
)
async def test_a_bad_message_costs_its_neighbours_nothing(
    context: Context, clock: ManualClock, store: SqliteStore, topic: str, payload: bytes, reason: str, where: str
) -> None:
    """Between two good ones: quarantined with reason and place, counted, and the good ones are stored."""
    await settle(context)
    messages = ((TOPIC, _batch(clock.now, 1)), (topic, payload), (TOPIC, _batch(clock.now, 2)))
    acks, counts = await _flush(context, store, *messages)
    assert acks[GATEWAY].ranges[0].ranges == [(1, 2)]
    (held,) = await _held(context)
    assert held["reason"] == reason
    assert where in held["detail"]
    assert bytes(held["payload"]) == payload[: 64 * 1024]
    assert counts[f"rejected_{reason}"] == 1
    named = b'"seq": 3' in payload and topic == TOPIC and b'"alarm"' not in payload  # telemetry never settles an alarm
    assert [(r.seq, r.reason) for r in acks[GATEWAY].rejected] == ([(3, reason)] if named else [])


@pytest.mark.parametrize(
    ("record", "reason", "place"),
    [
        ({"n": "oxi-1/heart_rate", "u": "beat/min", "v": 999}, "out_of_range", "records[1]"),
        ({"n": "oxi-1/heart_rate", "u": "K", "v": 70}, "wrong_unit", "records[1]"),
        ({"n": "oxi-1/heart_rate", "vs": "fast"}, "wrong_type", "records[1]"),
        ({"n": "oxi-1/mood", "v": 1}, "unknown_metric", "records[1]"),
        ({"n": "oxi-1/spo2", "v": 97, "t": 1_795_000_900}, "in_future", "records[1].t"),
        ({"n": "oxi-1/spo2", "v": 97, "t": 1_700_000_000}, "too_old", "records[1].t"),
        ({"n": "oxi 1/spo2", "v": 97}, "malformed", "records[1]"),
        ({"n": "oxi-1/spo2"}, "malformed", "records[1]"),
    ],
)
async def test_a_bad_value_costs_its_batch_nothing(
    context: Context, clock: ManualClock, store: SqliteStore, record: dict[str, Any], reason: str, place: str
) -> None:
    """The good values of the batch are stored, the bad one is quarantined and told; the batch is not sent again."""
    await settle(context)
    good = {"n": "oxi-1/heart_rate", "u": "beat/min", "v": 70, "t": clock.now}
    acks, counts = await _flush(context, store, (TOPIC, _batch(clock.now, 5, records=[good, record])))
    (held,) = await _held(context)
    assert held["reason"] in (reason, "wrong_topic")
    assert place in held["detail"]
    assert sum(n for name, n in counts.items() if name.startswith("rejected_")) == 1
    rejected = acks[GATEWAY].rejected
    assert [r.seq for r in rejected] == [5]
    if acks[GATEWAY].ranges:
        assert [s.value for s in await store.latest(HOME)] == [70.0]


class FailingStore(SqliteStore):
    """A store that is away as often as told."""

    failures = 0

    async def write(self, points: Any, deliveries: Any) -> None:
        """Fail, or write."""
        if self.failures:
            self.failures -= 1
            raise StoreError("away")
        await super().write(points, deliveries)


async def test_nothing_is_acknowledged_before_it_is_stored(
    context: Context, clock: ManualClock, tmp_path: Path
) -> None:
    """While the store is away no answer is given; afterwards everything is, once."""
    await settle(context)
    store = FailingStore(tmp_path / "t.db")
    await store.open()
    store.failures = 2
    ingest = TelemetryIngest(context, store, GatewayDirectory(context), Counter())
    sent: list[tuple[str, bytes]] = []
    done = asyncio.Event()

    def publish(messages: Iterable[tuple[bytes, bytes]]) -> bool:
        for topic, payload in messages:
            if decode_ack(payload).ranges:
                sent.append((topic.decode(), payload))
                done.set()
        return True

    for n in range(1, 31):
        ingest.take(TOPIC, _batch(clock.now + n, n), False)
    task = asyncio.create_task(ingest.run(publish))
    await asyncio.wait_for(done.wait(), 20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [decode_ack(payload).ranges[0].ranges for _, payload in sent] == [[(1, 30)]]
    assert store.failures == 0
    assert ingest.waiting == 0
    await store.close()


async def test_the_waiting_list_is_bounded(context: Context, store: SqliteStore) -> None:
    """Past the bound messages are dropped and counted; their owners send them again."""
    counts: Counter[str] = Counter()
    ingest = TelemetryIngest(context, store, GatewayDirectory(context), counts)
    limit = context.config.ingest.max_in_flight_batches
    for _ in range(limit + 5):
        ingest.take(TOPIC, b"x", False)
    assert ingest.waiting == limit
    assert counts["telemetry_overflow"] == 5


async def test_refused_by_the_store(context: Context, clock: ManualClock, influx_server: Any) -> None:
    """A value whose type InfluxDB refuses is quarantined by name; the rest of the flush is stored and acknowledged."""
    from cloud.config import InfluxDB, TimeSeries
    from cloud.timeseries.influx.store import InfluxStore

    await settle(context)
    store = InfluxStore(TimeSeries(influxdb=InfluxDB(url=influx_server.url, database=f"t{id(context)}")))
    await store.open()
    await store.write(
        [Point("vitals", HOME, "oxi-1", 1_795_000_000_000, {"heart_rate": "x"})],
        [Delivery(HOME, GATEWAY, EPOCH, Lane.LIVE, 99, 1_795_000_000_000, 1)],
    )
    counts: Counter[str] = Counter()
    ingest = TelemetryIngest(context, store, GatewayDirectory(context), counts)
    ingest.take(TOPIC, _batch(clock.now, 1), False)
    acks = await ingest.flush()
    assert acks[GATEWAY].ranges[0].ranges == [(1, 1)]
    assert [(r.seq, r.reason) for r in acks[GATEWAY].rejected] == [(1, "refused_by_store")]
    assert (await _held(context))[0]["reason"] == "refused_by_store"
    await store.close()


async def test_bad_alarms_become_news(context: Context, clock: ManualClock) -> None:
    """An alarm that cannot be read is quarantined, rejected, and shown to the operators as a technical incident."""
    await settle(context)
    counts: Counter[str] = Counter()
    control = ControlIngest(context, GatewayDirectory(context), counts)
    published: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    def publish(topic: str, payload: bytes, _qos: int) -> bool:
        published.put_nowait((topic, payload))
        return True

    task = asyncio.create_task(control.run(publish))
    topic = f"anju/v1/{GATEWAY}/up/alarm"
    control.take(topic, b'{"epoch": "00000000000000aa", "seq": 4, "v": 1}', False)
    control.take(topic, encode(alarm(AlarmState.RAISED, 5, clock.now)), False)
    control.take("anju/v1/gw-stranger/up/alarm", b"{}", False)
    control.take("nonsense", b"{}", False)
    nul = Reply(v=1, id="c", at=clock.now, status=ReplyStatus.DONE, detail="a\x00b")
    control.take(f"anju/v1/{GATEWAY}/up/reply", encode(nul), False)
    control.take(topic, encode(alarm(AlarmState.ESCALATED, 6, clock.now)), False)
    first = decode_ack((await asyncio.wait_for(published.get(), 10))[1])
    second = decode_ack((await asyncio.wait_for(published.get(), 10))[1])
    behind = decode_ack((await asyncio.wait_for(published.get(), 10))[1])
    assert behind.ranges[0].ranges == [(6, 6)]  # nothing in front of it holds it up, whatever the database refuses
    async with asyncio.timeout(10):
        while sum(n for name, n in counts.items() if name.startswith("rejected_")) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [(r.seq, r.reason) for r in first.rejected] == [(4, "malformed")]
    assert second.ranges[0].ranges == [(5, 5)]
    async with context.look() as work:
        rows = await work.all(select(incidents.c["class"], incidents.c.cause).order_by(incidents.c["class"]))
    assert [tuple(r.values()) for r in rows] == [("life", ""), ("technical", "alarm_rejected")]


async def test_quarantine_is_bounded(context: Context, clock: ManualClock, store: SqliteStore) -> None:
    """The oldest are given up when the configured size is reached."""
    await settle(context)
    small = context.config.model_copy(
        update={"ingest": context.config.ingest.model_copy(update={"quarantine_limit_bytes": 100_000})}
    )
    bounded = Context(small, context.database, context.now)
    for i in range(6):
        await _flush(bounded, store, (TOPIC, b"%d" % i + b"y" * 30_000))
    held = await _held(context)
    assert len(held) == 3
    assert bytes(held[-1]["payload"]).startswith(b"5y")
