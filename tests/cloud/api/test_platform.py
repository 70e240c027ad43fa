"""The API of the platform's own affairs: quarantine, outages, reports, resolutions."""

from __future__ import annotations

from collections import Counter

import httpx
import pytest

from cloud.context import Context
from cloud.ingest.telemetry import TelemetryIngest
from cloud.registry.gateways import GatewayDirectory
from cloud.rollup.windows import quarter_of
from cloud.supervision.outages import supervise
from cloud.supervision.status import Heard, StatusIntake
from cloud.timeseries.base import Point, Resolution, Window
from cloud.timeseries.sqlite import SqliteStore
from firmware_sim.fleet import batches
from protocols.wire import Status, StatusKind
from tests.conftest import ManualClock
from tests.support.district import GATEWAY, HOME


@pytest.fixture
def light_homes() -> int:
    """Enough for an outage of an area."""
    return 20


async def test_quarantine(
    operator: httpx.AsyncClient, context: Context, clock: ManualClock, store: SqliteStore
) -> None:
    """List, show, replay, discard; a stranger and a wrong id get a clear answer."""
    ingest = TelemetryIngest(context, store, GatewayDirectory(context), Counter())
    topic = f"anju/v1/{GATEWAY}/up/telemetry"
    ingest.take(topic, batches.batch("a" * 16, "live", 1, 1, round(clock.now * 1000) + 400_000), False)
    ingest.take(topic, b"\xff rubbish", False)
    await ingest.flush()
    clock.now += 400
    listed = (await operator.get("/api/v1/quarantine")).json()
    assert [row["reason"] for row in listed] == ["malformed", "in_future"]
    shown = (await operator.get(f"/api/v1/quarantine/{listed[0]['id']}")).json()
    assert shown["payload"] == "\\xff rubbish"
    assert (await operator.get("/api/v1/quarantine/999")).status_code == 404
    ids = [row["id"] for row in listed]
    answer = (await operator.post("/api/v1/quarantine/replay", json={"ids": ids})).json()
    assert answer["replayed"] == [ids[1]]
    assert answer["refused"][str(ids[0])]["reason"] == "malformed"
    assert "telemetry" in answer["refused"][str(ids[0])]["detail"]
    discarded = await operator.post("/api/v1/quarantine/discard", json={"ids": ids, "note": "a test"})
    assert discarded.json() == {"discarded": 1}
    assert (await operator.post("/api/v1/quarantine/discard", json={"ids": [], "note": "x"})).status_code == 422
    assert (await operator.get("/api/v1/quarantine")).json() == []
    settled = (await operator.get("/api/v1/quarantine", params={"state": "all"})).json()
    assert {(row["settled_by"], row["settled_by_name"]) for row in settled} == {("user:u-demo", "值班员 演示")}
    shown = (await operator.get(f"/api/v1/quarantine/{ids[0]}")).json()
    assert (shown["settled_by_name"], shown["note"]) == ("值班员 演示", "a test")
    operator.cookies.clear()
    assert (await operator.get("/api/v1/quarantine")).status_code == 401


async def test_outages_and_minutes(operator: httpx.AsyncClient, context: Context, clock: ManualClock) -> None:
    """An area's incident lists its homes; the month lists their minutes; the platform is no home."""
    intake = StatusIntake(context)
    rows = (await operator.get("/api/v1/homes", params={"limit": 100})).json()
    areas = Counter(row["sub_district"] for row in rows)
    area, count = areas.most_common(1)[0]
    small = context.config.supervision.model_copy(update={"area_outage_homes": 2})
    strict = Context(context.config.model_copy(update={"supervision": small}), context.database, context.now)
    gone = [row["id"].replace("h-", "gw-", 1) for row in rows if row["sub_district"] == area]
    for kind in (StatusKind.BIRTH, StatusKind.WILL):
        status = Status(v=1, kind=kind, session="s", at=clock.now)
        await intake.accept([Heard(gateway, gateway.replace("gw-", "h-", 1), status, False) for gateway in gone])
    clock.now += 90
    await supervise(strict)
    (incident,) = (await operator.get("/api/v1/incidents", params={"state": "open"})).json()
    assert incident["cause"] == f"area_outage:{area}"
    homes = (await operator.get(f"/api/v1/incidents/{incident['id']}/homes")).json()
    assert (len(homes), {home["back_at"] for home in homes}) == (count, {None})
    report = (await operator.get("/api/v1/reports/unprotected", params={"month": "2026-11"})).json()
    assert {row["minutes"] for row in report} == {1.5}
    assert len(report) == count
    assert (await operator.get("/api/v1/reports/unprotected", params={"month": "11"})).status_code == 422
    assert "platform" not in {row["id"] for row in (await operator.get("/api/v1/homes")).json()}


async def test_resolution_follows_the_span(operator: httpx.AsyncClient, clock: ManualClock, store: SqliteStore) -> None:
    """Two days are raw values, a week quarters of an hour, a year days; asked for by name it is that one."""
    at = quarter_of(clock.now) - 900
    await store.write([Point("vitals", HOME, "oxi-1", at * 1000, {"heart_rate": 70.0})], [])
    for resolution, value in ((Resolution.QUARTER, 80.0), (Resolution.DAY, 90.0)):
        window = Window(HOME, "oxi-1", "heart_rate", at * 1000, 1, value, value, value, value)
        await store.write_windows(resolution, [window])

    async def read(days: float, **more: str) -> list[float]:
        params: dict[str, str | float] = {"start": clock.now - days * 86_400, "end": clock.now, **more}
        params["metrics"] = "heart_rate"
        answer = await operator.get(f"/api/v1/homes/{HOME}/series", params=params)
        return [value for series in answer.json() for value in series["values"]]

    assert [await read(days) for days in (1, 7, 300)] == [[70.0], [80.0], [90.0]]
    assert await read(1, resolution="15min") == [80.0]
