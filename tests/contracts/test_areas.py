"""Operators and supervisors of one sub-district: lists, actions, event stream and escalation; on both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from cloud.context import Context
from cloud.db.schema import homes, incident_events, incidents, outbox, users
from cloud.incidents.events import record
from cloud.incidents.technical import open_technical
from cloud.registry.importer import import_registry
from cloud.registry.models import Registry
from cloud.supervision.platform import PLATFORM, ensure_platform
from firmware_sim.demo.registry import make_registry
from tests.conftest import ManualClock
from tests.support.district import HOME, PASSWORD
from tests.support.incidents import messages_to, raise_alarm, rows_of, run_timers
from tests.support.streams import Server, serving

_ACTIONS: dict[str, dict[str, Any]] = {
    "claim": {},
    "renew": {},
    "release": {},
    "takeover": {"reason": "shift ends"},
    "dispatch": {"responder_id": "r-lianhua"},
    "resolve": {},
    "close": {"outcome": "test"},
    "notes": {"text": "x"},
}


class District:
    """Two sub-districts with an incident each, one who may see all, and for each one who may see it alone."""

    def __init__(self, near: str, far: str) -> None:
        self.near, self.far = near, far
        self.alarm = ""
        """A life incident in `near`."""
        self.fault = ""
        """A fault in `far`."""


@pytest.fixture
async def district(context: Context, clock: ManualClock) -> District:
    """Imported, with its incidents open; the platform has one of its own, and each area an outage."""
    registry = make_registry(20, PASSWORD)
    areas = {home["id"]: home["sub_district"] for home in registry["homes"]}
    far_home, far = next((home, area) for home, area in areas.items() if area != areas[HOME])
    made = District(areas[HOME], far)
    for login, area in (("near", made.near), ("far", made.far)):
        user = {"id": f"u-{login}", "login": login, "name": login, "role": "supervisor", "phone": "10000009002"}
        registry["users"].append(user | {"password": PASSWORD, "sub_district": area})
    await import_registry(context, Registry.model_validate(registry))
    made.alarm = str((await raise_alarm(context, clock))["id"])
    async with context.work() as work:
        await ensure_platform(work)
        await open_technical(work, far_home, "gateway_offline", "system")
        for cause in ("role_down:dispatch", f"area_outage:{made.near}", f"area_outage:{made.far}"):
            await open_technical(work, PLATFORM, cause, "system")
    opened = await rows_of(context, incident_events, incident_events.c.kind == "opened")
    made.fault = next(e["incident_id"] for e in opened if e["data"]["cause"] == "gateway_offline")
    return made


async def _open(client: httpx.AsyncClient) -> set[str]:
    """Causes of the open incidents; of the alarm, its kind."""
    rows = (await client.get("/api/v1/incidents")).json()
    return {row["cause"] or row["kind"] for row in rows}


async def test_each_sees_what_concerns_the_own_area(context: Context, district: District, tmp_path: Path) -> None:
    """Incidents, homes and figures of the own sub-district, and what concerns all; who has no sub-district sees all."""
    async with context.look() as work:
        placed = {row["id"]: row["sub_district"] for row in await work.all(homes.select())}
    placed.pop(PLATFORM)
    async with serving(context, tmp_path) as server:
        for login, area, own, life in (
            ("near", district.near, {"fall"}, 1),
            ("far", district.far, {"gateway_offline"}, 0),
        ):
            async with server.client(await server.sign_in(login)) as client:
                assert (await client.get("/api/v1/me")).json()["sub_district"] == area
                assert await _open(client) == own | {"role_down:dispatch", f"area_outage:{area}"}
                listed = {row["id"] for row in (await client.get("/api/v1/homes", params={"limit": 500})).json()}
                assert listed == {home for home, where in placed.items() if where == area}
                figures = (await client.get("/api/v1/overview")).json()
                assert (figures["gateways"], figures["open_life"], figures["open_technical"]) == (
                    len(listed), life, len(own) - life + 2
                )  # fmt: skip
                for home, where in placed.items():
                    seen = (await client.get(f"/api/v1/homes/{home}/latest")).status_code
                    assert seen == (200 if where == area else 404)
                assert (await client.get("/api/v1/quarantine")).status_code == 403
        async with server.client(await server.sign_in()) as client:
            areas = {f"area_outage:{district.near}", f"area_outage:{district.far}"}
            assert await _open(client) == {"fall", "gateway_offline", "role_down:dispatch", *areas}
            assert (await client.get("/api/v1/overview")).json()["gateways"] == len(placed)
            assert (await client.get("/api/v1/quarantine")).status_code == 200


async def test_nobody_acts_on_an_incident_of_another_area(context: Context, district: District, tmp_path: Path) -> None:
    """For them it is not there, whatever they ask for, and nothing changes; in its own area it is worked on."""
    path = f"/api/v1/incidents/{district.alarm}"
    before = await rows_of(context, incident_events)
    async with serving(context, tmp_path) as server:
        async with server.client(await server.sign_in("far")) as client:
            for read in ("", "/responders", "/homes"):
                assert (await client.get(path + read)).status_code == 404
            for action, body in _ACTIONS.items():
                answer = await client.post(f"{path}/{action}", json={"version": 1} | body)
                assert (answer.status_code, answer.json().get("code")) == (404, "not_found"), action
        assert await rows_of(context, incident_events) == before
        async with server.client(await server.sign_in("near")) as client:
            version = (await client.get(path)).json()["version"]
            assert (await client.post(f"{path}/claim", json={"version": version})).status_code == 200


async def test_a_home_cannot_leave_its_area(context: Context, district: District, tmp_path: Path) -> None:
    """A fault that a gateway calls by an outage's name is still of its home: listed and streamed there only."""
    cause = f"area_outage:{district.far}"
    async with context.work() as work:
        await open_technical(work, HOME, cause, "gateway:g")
    (incident,) = await rows_of(context, incidents, incidents.c.home_id == HOME, incidents.c.cause == cause)
    async with serving(context, tmp_path) as server:
        cookies = {login: await server.sign_in(login) for login in ("near", "far")}
        for login, seen in (("near", 200), ("far", 404)):
            async with server.client(cookies[login]) as client:
                assert (await client.get(f"/api/v1/incidents/{incident['id']}")).status_code == seen
        streams = {login: await server.open(cookie) for login, cookie in cookies.items()}
        last = await _happens(context, incident["id"], district.alarm, district.fault)
        await streams["near"].read_to(last - 1)
        await streams["far"].read_to(last)
        assert {login: stream.positions for login, stream in streams.items()} == {
            "near": [last - 2, last - 1], "far": [last]
        }  # fmt: skip


async def _happens(context: Context, *incident_ids: str) -> int:
    """An entry in the log of each; returns the position of the last."""
    last = 0
    async with context.work() as work:
        for incident in incident_ids:
            last = await record(work, incident, "note", "system", text="x")
    return last


async def test_streams_tell_of_the_own_area(context: Context, district: District, tmp_path: Path) -> None:
    """Live and when resumed; a stream ends when its operator is given another area."""
    async with serving(context, tmp_path, ping_s=0.1) as server:
        cookies = {login: await server.sign_in(login) for login in ("near", "far", "demo")}
        streams = {login: await server.open(cookie) for login, cookie in cookies.items()}
        last = await _happens(context, district.alarm, district.fault, district.alarm, district.fault)
        await streams["near"].read_to(last - 1)
        await streams["far"].read_to(last)
        await streams["demo"].read_to(last)
        live = {login: stream.positions for login, stream in streams.items()}
        assert live == {"near": [last - 3, last - 1], "far": [last - 2, last], "demo": [*range(last - 3, last + 1)]}
        resumed = await server.open(cookies["near"], last - 4)
        await resumed.read_to(last - 1)
        assert resumed.positions == [last - 3, last - 1]
        async with context.work() as work:
            await work.run(update(users).where(users.c.id == "u-near").values(sub_district=district.far))
        await streams["near"].read_until(lambda: False)
        assert streams["near"].ended
        assert await _can_listen(server, cookies["near"], context, district.fault)


async def _can_listen(server: Server, cookie: str, context: Context, incident: str) -> bool:
    stream = await server.open(cookie)
    last = await _happens(context, incident)
    await stream.read_to(last)
    return stream.positions == [last]


async def test_supervisors_of_the_area_are_told(context: Context, district: District, clock: ManualClock) -> None:
    """With those of the whole district; where there are none of either, all are: somebody must hear."""

    async def told() -> set[str]:
        before = len(await messages_to(context))
        clock.now += 400
        await run_timers(context)
        found = await messages_to(context)
        assert len(found) > before
        return {to for to, template in found if template == "supervisor_alarm"}

    assert await told() == {"user:u-chief", "user:u-near"}
    async with context.work() as work:
        await work.run(update(users).where(users.c.id != "u-far").values(phone=""))
    assert await told() == {"user:u-chief", "user:u-near", "user:u-far"}


async def test_all_are_told_where_nothing_reaches_the_area(
    context: Context, district: District, clock: ManualClock
) -> None:
    """While a message to one of the area's supervisors is under way they are enough; once all have failed, all hear."""

    async def told_again() -> set[str]:
        known = {row["id"] for row in await rows_of(context, outbox)}
        clock.now += 400
        await run_timers(context)
        mine = outbox.c.incident_id == district.alarm, outbox.c.template == "supervisor_alarm"
        return {row["recipient"] for row in await rows_of(context, outbox, *mine) if row["id"] not in known}

    async def fails(recipient: str) -> None:
        async with context.work() as work:
            await work.run(update(outbox).where(outbox.c.recipient == recipient).values(state="failed"))

    near, everybody = {"user:u-chief", "user:u-near"}, {"user:u-chief", "user:u-near", "user:u-far"}
    assert await told_again() == near
    await fails("user:u-near")
    assert await told_again() == near
    await fails("user:u-near")
    await fails("user:u-chief")
    assert await told_again() == everybody
