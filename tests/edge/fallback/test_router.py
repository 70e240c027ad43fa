"""The fallback SMS: who is told when the cloud does not take a raised alarm, sent to a real HTTP server."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from edge.alarms import Alarm
from edge.clock import SystemClock
from edge.config import GatewayConfig
from edge.fallback.contacts import Contact
from edge.fallback.family import Family
from edge.fallback.router import RouterSms
from edge.spool.store import Spool
from edge.telling import family, watch_alarms
from protocols.wire import AlarmEvent, AlarmKind, AlarmState, Clock, Lane, Priority, TellOutcome, Told, encode
from tests.support.spool import alarm_id


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


@contextmanager
def _watched(tmp_path: Path) -> Iterator[tuple[Family, Spool]]:
    """A family that could be told, and the spool of its home."""

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
        yield fallback, spool
    finally:
        spool.close()


def test_an_answer_to_the_question_is_none_to_the_raise(tmp_path: Path) -> None:
    """The cloud takes the pending event late, after the home has raised the alarm: the raise is still watched."""
    with _watched(tmp_path) as (fallback, spool):
        watch, settled = watch_alarms(spool, fallback)
        pending = Alarm("a", AlarmKind.FALL, Priority.HIGH, AlarmState.PENDING, 1.0, 1.0, "impact", "wrist")
        watch(pending, 5)
        watch(replace(pending, state=AlarmState.RAISED), 6)
        settled(Lane.ALARM, [(5, 5)])
        assert set(fallback.tellings.cases) == {"a"}
        settled(Lane.ALARM, [(6, 6)])
        assert fallback.tellings.cases == {}


NOTICE = Alarm(alarm_id(1), AlarmKind.VITALS, Priority.LOW, AlarmState.RAISED, 1.0, 1.0, "fluid_gain", "scale")


@pytest.mark.parametrize(
    ("alarm", "told"),
    [
        (NOTICE, False),
        (replace(NOTICE, priority=Priority.MEDIUM, reason="fever"), True),
        (replace(NOTICE, priority=Priority.HIGH, state=AlarmState.ESCALATED, reason="condition_worse"), True),
        (replace(NOTICE, kind=AlarmKind.TECHNICAL, reason="test"), True),
        (replace(NOTICE, kind=AlarmKind.TECHNICAL, priority=Priority.MEDIUM, reason="sensor_silent"), False),
        (replace(NOTICE, kind=AlarmKind.UNUSUAL, reason="unusual_value"), False),
    ],
)
def test_only_what_somebody_must_act_on_is_told(tmp_path: Path, alarm: Alarm, told: bool) -> None:
    """Alarms of medium and high priority, and tests; no notice such as a gain in weight, and no fault: not when it is
    raised, and not when it is found in the spool after a restart.
    """
    with _watched(tmp_path) as (fallback, spool):
        watch, _ = watch_alarms(spool, fallback)
        watch(alarm, 5)
        assert [*fallback.tellings.cases] == [alarm.alarm_id] * told

    def build(epoch: str, seq: int) -> bytes:
        return encode(
            AlarmEvent(
                v=1, alarm_id=alarm.alarm_id, epoch=epoch, seq=seq, kind=alarm.kind, priority=alarm.priority,
                state=alarm.state, at=1.0, clock=Clock.SYNCED, reason=alarm.reason, sent=1.0, changed_at=1.0,
            )
        )  # fmt: skip

    with _watched(tmp_path) as (fallback, spool):
        spool.append_alarm(build, alarm.alarm_id, None)
        watch_alarms(spool, fallback)
        assert [*fallback.tellings.cases] == [alarm.alarm_id] * told
