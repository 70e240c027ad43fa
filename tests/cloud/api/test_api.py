"""The HTTP API as a browser meets it: sign-in, rights, versions, errors, pages, hooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from cloud.context import Context
from cloud.db.schema import access_codes, users
from cloud.dispatch.timers import run_due
from cloud.incidents import actions
from cloud.incidents.intake import AlarmIntake
from cloud.incidents.states import Outcome
from cloud.notify.webhook import secret_key, sign
from cloud.timeseries.base import Point, StoreError
from cloud.timeseries.sqlite import SqliteStore
from firmware_sim.demo import registry as people
from protocols.wire import AlarmState
from tests.conftest import ManualClock
from tests.support.api import SECRET, client_of
from tests.support.district import GATEWAY, HOME, PASSWORD, alarm
from tests.support.incidents import ME, the_incident


async def _incident(context: Context, clock: ManualClock) -> str:
    await AlarmIntake(context).accept(GATEWAY, alarm(AlarmState.RAISED, 1, clock.now))
    while await run_due(context):
        pass
    async with context.look() as work:
        row = await work.one(select(access_codes.c.incident_id))
    assert row is not None
    return str(row["incident_id"])


def _problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def test_signing_in(app: FastAPI) -> None:
    """The cookie cannot be read by scripts or sent by other sites; signing out ends the session itself."""
    async with client_of(app) as client:
        assert _problem(await client.get("/api/v1/me")) == (401, "not_signed_in")
        answer = await client.post("/api/v1/sign-in", json={"login": "demo", "password": PASSWORD})
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        signed_in = {"id": "u-demo", "name": "值班员 演示", "role": "operator", "lang": "zh", "sub_district": None}
        assert answer.json() == signed_in
        kept = dict(client.cookies)
        assert (await client.get("/api/v1/me")).status_code == 200
        assert (await client.post("/api/v1/sign-out")).status_code == 204
        client.cookies.update(kept)
        assert _problem(await client.get("/api/v1/me")) == (401, "not_signed_in")


async def test_guessing_is_slowed_down(app: FastAPI) -> None:
    """Eight wrong passwords for one account, and the ninth try is refused even with the right one."""
    async with client_of(app) as client:
        for _ in range(8):
            answer = await client.post("/api/v1/sign-in", json={"login": "demo", "password": "wrong-password"})
            assert _problem(answer) == (401, "wrong_password")
        answer = await client.post("/api/v1/sign-in", json={"login": "demo", "password": PASSWORD})
        assert _problem(answer) == (429, "too_many_attempts")
        assert int(answer.headers["retry-after"]) > 0
        answer = await client.post("/api/v1/sign-in", json={"login": "chief", "password": PASSWORD})
        assert answer.status_code == 200


async def test_a_disabled_account_is_out_at_once(app: FastAPI, operator: httpx.AsyncClient, context: Context) -> None:
    """Its open sessions end with it."""
    async with context.work() as work:
        await work.run(update(users).where(users.c.id == "u-demo").values(disabled_at=work.now))
    assert _problem(await operator.get("/api/v1/me")) == (401, "not_signed_in")


async def test_other_sites_cannot_act(operator: httpx.AsyncClient) -> None:
    """Without our header a request that changes something is refused."""
    operator.headers.pop("X-Requested-With")
    assert _problem(await operator.post("/api/v1/sign-out")) == (403, "not_from_our_page")
    assert (await operator.get("/api/v1/me")).status_code == 200


async def test_an_operator_works(operator: httpx.AsyncClient, context: Context, clock: ManualClock) -> None:
    """Claim, note, dispatch, resolve, close; an old version is a conflict and changes nothing."""
    incident = await _incident(context, clock)
    path = f"/api/v1/incidents/{incident}"
    (listed,) = (await operator.get("/api/v1/incidents")).json()
    assert listed["class"] == "life"
    assert listed["resident"]["name"] == "林虚构"
    version = listed["version"]
    claimed = (await operator.post(f"{path}/claim", json={"version": version})).json()
    assert claimed["claimed_by"]["id"] == "u-demo"
    assert claimed["alarms"][0]["evidence"][0]["excerpt"]["channels"] == ["ax", "ay", "az"]
    assert _problem(await operator.post(f"{path}/resolve", json={"version": version})) == (409, "version_conflict")
    ranked = (await operator.get(f"{path}/responders")).json()
    assert ranked[0]["responder"]["id"] == people.NURSE
    noted = (await operator.post(f"{path}/notes", json={"text": "  通话：说髋部疼  "})).json()
    assert noted["events"][-1]["text"] == "通话：说髋部疼"
    body = {"version": noted["version"], "responder_id": people.NURSE}
    sent = (await operator.post(f"{path}/dispatch", json=body)).json()
    assert (sent["state"], sent["assignments"][0]["state"]) == ("dispatched", "offered")
    body = {"version": sent["version"], "outcome": "real_fall", "note": "送医"}
    closed = (await operator.post(f"{path}/close", json=body)).json()
    assert (closed["state"], closed["outcome"]) == ("closed", "real_fall")
    for action in ("claim", "renew", "resolve", "release"):
        answer = await operator.post(f"{path}/{action}", json={"version": closed["version"]})
        assert _problem(answer) == (409, "not_allowed")
    assert (await operator.get("/api/v1/incidents")).json() == []
    assert len((await operator.get("/api/v1/incidents", params={"state": "closed"})).json()) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/incidents/short", None, 422),
        ("GET", "/api/v1/incidents/00000000-0000-7000-8000-000000000000", None, 404),
        ("GET", "/api/v1/incidents?state=sleeping", None, 422),
        ("POST", "/api/v1/incidents/00000000-0000-7000-8000-000000000000/claim", {"version": 1}, 404),
        ("POST", "/api/v1/incidents/00000000-0000-7000-8000-000000000000/claim", {"version": "x"}, 422),
        ("POST", "/api/v1/incidents/00000000-0000-7000-8000-000000000000/claim", {"version": 1, "y": 1}, 422),
        ("POST", "/api/v1/incidents/00000000-0000-7000-8000-000000000000/close", {"version": 1, "outcome": "won"}, 422),
        ("GET", f"/api/v1/homes/{HOME}/series?metrics=mood&start=0&end=9", None, 422),
        ("GET", f"/api/v1/homes/{HOME}/series?metrics=spo2&start=9&end=9", None, 422),
        ("GET", f"/api/v1/homes/{HOME}/series?metrics=spo2&start=nan&end=9", None, 422),
        ("GET", f"/api/v1/homes/{HOME}/series?metrics=spo2&start=0&end=9&max_points=9999999", None, 422),
        ("GET", "/api/v1/homes/nowhere/latest", None, 404),
        ("GET", "/api/v1/homes/NO%20WHERE/latest", None, 422),
        ("GET", "/api/v1/nothing", None, 404),
        ("POST", "/api/v1/sign-in", {"login": "x" * 70_000, "password": "y"}, 413),
    ],
)
async def test_bad_requests_are_problems(
    operator: httpx.AsyncClient, method: str, path: str, body: Any, status: int
) -> None:
    """Each is answered with what is wrong."""
    answer = await operator.request(method, path, json=body)
    assert _problem(answer)[0] == status
    assert answer.json()["detail"]


async def test_rights(app: FastAPI, context: Context, clock: ManualClock) -> None:
    """A family member sees the incidents of their home only and may do nothing an operator does."""
    incident = await _incident(context, clock)
    async with context.work() as work:
        await work.run(update(users).where(users.c.id == "u-demo").values(role="family", contact_id="c-demo-1"))
        await work.run(update(users).where(users.c.id == "u-chief").values(role="family", contact_id="c-n001"))
    for login, seen in (("demo", 1), ("chief", 0)):
        async with client_of(app) as client:
            await client.post("/api/v1/sign-in", json={"login": login, "password": PASSWORD})
            assert len((await client.get("/api/v1/incidents")).json()) == seen
            assert (await client.get(f"/api/v1/incidents/{incident}")).status_code == (200 if seen else 404)
            assert (await client.get(f"/api/v1/homes/{HOME}/latest")).status_code == (200 if seen else 404)
            for path in ("homes", "responders", "overview", "events"):
                assert _problem(await client.get(f"/api/v1/{path}")) == (403, "wrong_role")
            answer = await client.post(f"/api/v1/incidents/{incident}/claim", json={"version": 1})
            assert _problem(answer) == (403, "wrong_role")


async def test_series_and_a_store_that_is_away(
    app: FastAPI, operator: httpx.AsyncClient, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values over time; while the store is away a problem says so and readiness fails."""
    store: SqliteStore = app.state.store
    at = int(clock.now * 1000)
    await store.write([Point("vitals", HOME, "oxi-1", at + i * 1000, {"spo2": 95.0 + i % 3}) for i in range(100)], [])
    params: dict[str, Any] = {
        "metrics": "spo2,heart_rate",
        "start": clock.now,
        "end": clock.now + 200,
        "max_points": 20,
    }
    (series,) = (await operator.get(f"/api/v1/homes/{HOME}/series", params=params)).json()
    assert len(series["at"]) <= 21
    assert max(series["high"]) == 97.0
    assert len((await operator.get(f"/api/v1/homes/{HOME}/latest")).json()) == 1
    missing = {"missing_roles": ["alarms", "dispatch", "telemetry"]}
    assert (await operator.get("/readyz")).json() == {"ready": True, "problems": []} | missing

    async def away(*_: Any, **__: Any) -> Any:
        raise StoreError("down")

    monkeypatch.setattr(store, "latest", away)
    monkeypatch.setattr(store, "_read", away)
    assert _problem(await operator.get(f"/api/v1/homes/{HOME}/latest")) == (503, "time_series_unavailable")
    answer = await operator.get("/readyz")
    assert (answer.status_code, answer.json()["problems"]) == (503, ["time series: down"])
    assert (await operator.get("/healthz")).text == "ok"


async def test_overview_homes_responders(operator: httpx.AsyncClient, context: Context, clock: ManualClock) -> None:
    """Figures, search (with characters that mean something to LIKE), and people."""
    await _incident(context, clock)
    figures = (await operator.get("/api/v1/overview")).json()
    assert (figures["gateways"], figures["gateways_online"], figures["unclaimed_life"]) == (3, 0, 1)
    assert [h["id"] for h in (await operator.get("/api/v1/homes", params={"q": "林虚构"})).json()] == [HOME]
    assert (await operator.get("/api/v1/homes", params={"q": "%_"})).json() == []
    found = (await operator.get("/api/v1/responders")).json()
    assert found[0]["on_duty"]
    assert not found[-1]["on_duty"]


def _signed(body: Any, now: float, message_id: str = "w1") -> dict[str, Any]:
    content = json.dumps(body).encode()
    signature = sign(secret_key(SECRET), message_id, int(now), content)
    headers = {"webhook-id": message_id, "webhook-timestamp": str(int(now)), "webhook-signature": signature}
    return {"content": content, "headers": headers}


async def test_hooks(app: FastAPI, context: Context, clock: ManualClock) -> None:
    """Replies count once; unsigned, old, malformed and oversized ones are refused and change nothing."""
    await _incident(context, clock)
    reply = {"type": "sms.inbound", "data": {"id": "p1", "from": people.FAMILY_PHONE, "text": "1"}}
    async with client_of(app) as client:
        for expected in ("can_go", "duplicate"):
            answer = await client.post("/hooks/sms/inbound", **_signed(reply, clock.now))
            assert answer.json() == {"result": expected}
        assert _problem(await client.post("/hooks/sms/inbound", json=reply)) == (401, "bad_signature")
        answer = await client.post("/hooks/sms/inbound", **_signed(reply, clock.now - 400))
        assert _problem(answer) == (401, "bad_signature")
        for wrong in ({}, {"type": "x", "data": {}}, reply | {"data": {"id": "", "from": "me", "text": 3}}):
            assert _problem(await client.post("/hooks/sms/inbound", **_signed(wrong, clock.now))) == (422, "malformed")
        big = reply | {"data": {"text": "x" * 30_000}}
        assert _problem(await client.post("/hooks/sms/inbound", **_signed(big, clock.now))) == (413, "oversized")
        receipt = {"type": "sms.receipt", "data": {"message_id": "none", "status": "delivered"}}
        answer = await client.post("/hooks/sms/receipt", **_signed(receipt, clock.now))
        assert answer.json() == {"result": "unknown"}


async def test_pages_by_code(app: FastAPI, context: Context, clock: ManualClock) -> None:
    """The code opens the family's page in either language; a wrong one does not, and guessing is slowed down."""
    await _incident(context, clock)
    async with context.look() as work:
        row = await work.one(select(access_codes.c.code).where(access_codes.c.contact_id == "c-demo-1"))
    assert row is not None
    async with client_of(app) as client:
        answer = await client.post("/s", data={"code": f" {row['code'].lower()} "})
        assert (answer.status_code, answer.headers["location"]) == (303, f"/f/{row['code']}")
        page = await client.get(f"/f/{row['code']}")
        assert "林虚构" in page.text
        assert page.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert "I can go" in (await client.get(f"/f/{row['code']}?lang=en")).text
        answer = await client.post("/s?lang=en", data={"code": row["code"]})
        assert answer.headers["location"] == f"/f/{row['code']}?lang=en"
        answer = await client.post(f"/f/{row['code']}/answer?lang=en", data={"answer": "cannot"})
        assert answer.headers["location"] == f"/f/{row['code']}?lang=en"
        assert (await client.get(f"/r/{row['code']}")).status_code == 404
        await client.post(f"/f/{row['code']}/answer", data={"answer": "go"})
        assert "您已答复：能去" in (await client.get(f"/f/{row['code']}")).text
        for _ in range(9):
            answer = await client.post("/s", data={"code": "222222"})
        assert answer.status_code == 429
        assert "尝试次数过多" in answer.text


async def test_a_responders_page_follows_the_job(app: FastAPI, context: Context, clock: ManualClock) -> None:
    """It says whom to expect; at the end one who was there is thanked, one who was not need not go."""
    incident = await _incident(context, clock)

    async def version() -> int:
        return int((await the_incident(context))["version"])

    await actions.claim(context, ME, incident, await version())
    for responder in (people.NURSE, "r-lianhua"):
        await actions.dispatch(context, ME, incident, await version(), responder)
    async with context.look() as work:
        rows = await work.all(select(access_codes).where(access_codes.c.responder_id.is_not(None)))
    codes = {row["responder_id"]: row["code"] for row in rows}
    async with client_of(app) as client:
        page = f"/r/{codes[people.NURSE]}?lang=en"
        assert "Waiting for your answer" in (await client.get(page)).text
        assert "女 83 岁" in (await client.get(f"/r/{codes[people.NURSE]}")).text
        for answer, words in (("accept", "Accepted: please go"), ("arrive", "You have arrived")):
            await client.post(f"/r/{codes[people.NURSE]}/answer", data={"answer": answer})
            assert words in (await client.get(page)).text
        await actions.close(context, ME, incident, await version(), Outcome.REAL_FALL, "")
        assert "The job has ended. Thank you." in (await client.get(page)).text
        other = (await client.get(f"/r/{codes['r-lianhua']}?lang=en")).text
        assert "you need not go" in other


async def test_text_of_people_cannot_become_markup(app: FastAPI, context: Context, clock: ManualClock) -> None:
    """A name with markup is shown as it is."""
    from cloud.db.schema import residents

    await _incident(context, clock)
    async with context.work() as work:
        await work.run(update(residents).where(residents.c.home_id == HOME).values(name="<script>alert(1)</script>"))
        row = await work.one(select(access_codes.c.code))
    assert row is not None
    async with client_of(app) as client:
        page = (await client.get(f"/f/{row['code']}")).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_openapi_is_current() -> None:
    """The description the console is typed by is the one the API gives."""
    from cloud.cli import main

    path = Path(__file__).resolve().parents[3] / "cloud" / "web" / "openapi.json"
    before = path.read_text()
    fresh = path.parent / "openapi.fresh.json"
    try:
        assert main(["openapi", "--output", str(fresh)]) == 0
        assert fresh.read_text() == before, "run: anju-cloud openapi --output cloud/web/openapi.json"
    finally:
        fresh.unlink(missing_ok=True)
