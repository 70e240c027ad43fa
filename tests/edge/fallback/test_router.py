"""The fallback SMS: who is told when the cloud does not take a raised alarm, sent to a real HTTP server."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from standardwebhooks import Webhook

from edge.alarms import Alarm
from edge.clock import SystemClock
from edge.config import GatewayConfig
from edge.fallback.contacts import Contact
from edge.fallback.family import Family
from edge.fallback.router import RouterSms
from edge.spool.store import Spool
from edge.telling import family, watch_alarms
from protocols.wire import AlarmKind, AlarmState, Lane, Priority, TellOutcome, Told


async def test_signed_sms_reaches_the_router(tmp_path: Path) -> None:
    """A raised alarm nobody takes becomes one signed request per phone; the published library accepts the signature."""
    got: list[tuple[dict[str, str], bytes]] = []
    both = threading.Event()

    class Router(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()
            if len(got) == 2:
                both.set()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Router)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
    (tmp_path / "secret").write_text(secret)
    config = GatewayConfig.model_validate(
        {
            "gateway": {"id": "gw-1", "data_dir": tmp_path},
            "cloud_broker": {"host": "none"},
            "fallback": {
                "sms_url": f"http://127.0.0.1:{server.server_port}/sms",
                "secret_file": tmp_path / "secret",
                "after_s": 0.1,
                "phones": ("10000000001", "10000000002"),
            },
        }
    )
    reports: asyncio.Queue[tuple[str, Told]] = asyncio.Queue()

    async def told(alarm_id: str, whom: Told) -> None:
        reports.put_nowait((alarm_id, whom))

    sms = family(config, SystemClock(), told)
    sms.watch(Alarm("a1", AlarmKind.SOS, Priority.HIGH, AlarmState.RAISED, 1.0, 1.0, "button", "sos"))
    task = asyncio.create_task(sms.run())
    assert await asyncio.to_thread(both.wait, 20)
    told_of = [await asyncio.wait_for(reports.get(), 20) for _ in range(2)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    server.shutdown()
    server.server_close()
    thread.join()
    assert [(a, w.who, w.outcome) for a, w in told_of] == [
        ("a1", "…0001", TellOutcome.SENT),
        ("a1", "…0002", TellOutcome.SENT),
    ]
    assert all("紧急呼叫" in json.loads(body)["data"]["text"] for _, body in got)
    for headers, body in got:
        Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})
    assert sorted(json.loads(body)["data"]["to"] for _, body in got) == ["10000000001", "10000000002"]


def test_an_answer_to_the_question_is_none_to_the_raise(tmp_path: Path) -> None:
    """The cloud takes the pending event late, after the home has raised the alarm: the raise is still watched."""

    async def nobody(_alarm_id: str, _told: Told) -> None:
        raise AssertionError("nothing is sent here")

    fallback = Family(
        senders=(RouterSms("http://127.0.0.1:1/", "", SystemClock()),),
        contacts=(Contact("c", "10086"),),
        after_s=60.0,
        home="gw-1",
        folder=tmp_path,
        clock=SystemClock(),
        on_told=nobody,
    )
    spool = Spool(tmp_path / "spool.db", 1_000_000)
    try:
        watch, settled = watch_alarms(spool, fallback)
        pending = Alarm("a", AlarmKind.FALL, Priority.HIGH, AlarmState.PENDING, 1.0, 1.0, "impact", "wrist")
        watch(pending, 5)
        watch(replace(pending, state=AlarmState.RAISED), 6)
        settled(Lane.ALARM, [(5, 5)])
        assert set(fallback.tellings.cases) == {"a"}
        settled(Lane.ALARM, [(6, 6)])
        assert fallback.tellings.cases == {}
    finally:
        spool.close()
