"""The event stream of a real server: every change once, resumed where it broke off."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from protocols.topics import Up, up
from protocols.wire import AlarmKind, AlarmState, encode
from tests.support.chain import Chain, leave, running_chain, wait_for
from tests.support.district import alarm

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(120)]


def _read(chain: Chain, cookies: dict[str, str], wanted: int, last_event_id: str | None = None) -> list[dict[str, Any]]:
    """The first `wanted` events (pings left out), each with its name and id."""
    headers = {"Last-Event-ID": last_event_id} if last_event_id is not None else {}
    found: list[dict[str, Any]] = []
    url = f"http://127.0.0.1:{chain.ports['api']}/api/v1/events"
    with (
        httpx.Client(cookies=cookies, timeout=10, trust_env=False) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        event: dict[str, Any] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name == "data":
                event["data"] = json.loads(value)
            elif name in ("event", "id"):
                event[name] = value
            elif not line and event:
                if event.get("event") != "ping":
                    found.append(event)
                if len(found) >= wanted:
                    return found
                event = {}
    return found


def test_resumed_without_gap_or_repetition(tmp_path: Path) -> None:
    """From any position the rest follows in order; a position that never was gets a reset; strangers get nothing."""
    with running_chain(tmp_path, names=("cloud-broker", "cloud")) as chain:
        operator = chain.operator()
        gateway = mqtt.Client(CallbackAPIVersion.VERSION2)
        gateway.connect("127.0.0.1", chain.ports["cloud-broker"])
        gateway.loop_start()
        wait_for("ingest", lambda: len(chain.log("cloud", "broker_connected")) == 2)
        time.sleep(0.3)  # its subscriptions
        for seq, kind in enumerate((AlarmKind.SOS, AlarmKind.FALL, AlarmKind.SMOKE), 1):
            event = alarm(AlarmState.RAISED, seq, time.time(), kind=kind)
            gateway.publish(up("gw-demo", Up.ALARM), encode(event), 1)
        wait_for("one incident of three alarms", lambda: [i for i in operator.open_life() if i["alarm_count"] == 3])
        assert operator.client is not None
        cookies = dict(operator.client.cookies)
        first = _read(chain, cookies, 3, "0")
        assert [int(e["id"]) for e in first] == [1, 2, 3]
        assert first[0]["data"]["kind"] == "opened"
        assert first[0]["data"]["incident"]["home"]["id"] == "h-demo"
        again = _read(chain, cookies, 2, "1")
        assert [int(e["id"]) for e in again] == [2, 3]
        for wrong in ("999999", "soon", "-1"):
            assert _read(chain, cookies, 1, wrong)[0]["event"] == "reset"
        stranger = httpx.get(f"http://127.0.0.1:{chain.ports['api']}/api/v1/events", trust_env=False)
        assert (stranger.status_code, stranger.json()["code"]) == (401, "not_signed_in")
        operator.leave()
        leave(gateway)
