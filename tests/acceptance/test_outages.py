"""Parts that are away for a while: alarms find their way, telemetry follows later and complete."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
import pytest

from firmware_sim.devices import Wearable, pack
from firmware_sim.signals import Activity, Body
from tests.support.chain import Chain, leave, running_chain, wait_for
from tests.support.servers import InfluxServer, influxdb

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(180)]


def _readings(devices: mqtt.Client, n: int) -> dict[int, float]:
    sent: dict[int, float] = {}
    for i in range(n):
        at, value = time.time(), 60.0 + i % 50
        sent[round(at * 1000)] = value
        devices.publish(*pack("oximeter-1", at, heart_rate=(value, "beat/min")), qos=1)
        time.sleep(0.03)
    return sent


def _press(devices: mqtt.Client) -> None:
    devices.publish(*pack("sos-1", time.time(), sos=True), qos=1)


def _stored(chain: Chain, sent: dict[int, float]) -> bool:
    """Whether exactly what was sent is stored, as the API tells."""
    operator = chain.operator()
    params: dict[str, Any] = {"metrics": "heart_rate", "start": min(sent) / 1000 - 1, "end": max(sent) / 1000 + 1}
    series = operator.try_get("/homes/h-demo/series", max_points=5000, **params)
    operator.leave()
    if not series:
        return False
    return sent == {round(at * 1000): v for s in series for at, v in zip(s["at"], s["values"], strict=True)}


def test_cloud_unreachable_for_a_while(tmp_path: Path) -> None:
    """The home acts alone meanwhile; afterwards the alarm and every reading arrive, the back-log as such."""
    with running_chain(tmp_path) as chain:
        devices = chain.publisher()
        sent = _readings(devices, 20)
        chain.kill("cloud-broker")
        sent |= _readings(devices, 40)
        _press(devices)
        wait_for("the home acts", lambda: any(e["phrase"] == "alarm_raised" for e in chain.log("gw-demo", "said")))
        time.sleep(4)
        operator = chain.operator()
        assert operator.open_life() == []
        chain.start("cloud-broker")
        sent |= _readings(devices, 20)
        incident = wait_for("the alarm arrives", operator.open_life)[0]
        assert [a["kind"] for a in incident["alarms"]] == ["sos"]
        wait_for("all readings arrive", lambda: _stored(chain, sent), 60)
        operator.leave()
        leave(devices)


def test_time_series_down_while_an_alarm_comes(tmp_path: Path) -> None:
    """InfluxDB is away: the alarm reaches the operator at once; telemetry follows when it is back, complete."""
    with influxdb(tmp_path / "influx") as server, running_chain(tmp_path, influxdb_url=server.url) as chain:
        devices = chain.publisher()
        sent = _readings(devices, 20)
        wait_for("readings are stored", lambda: _stored(chain, sent))
        server.stop()
        sent |= _readings(devices, 30)
        _press(devices)
        operator = chain.operator()
        incident = wait_for("the alarm arrives", operator.open_life, 15)[0]
        assert incident["kind"] == "sos"
        operator.act(incident["id"], "claim")
        assert operator.try_get("/homes/h-demo/latest") is None
        _back(server)
        wait_for("all readings arrive", lambda: _stored(chain, sent), 60)
        operator.leave()
        leave(devices)


def _back(server: InfluxServer) -> None:
    time.sleep(3)
    server.start()


def test_gateway_dies_between_pending_and_raised(tmp_path: Path) -> None:
    """A fall that takes the gateway with it: nobody cancels, nobody raises, the cloud does."""
    with running_chain(tmp_path, question_s=4.0) as chain:
        devices = chain.publisher()
        wearable = Wearable(Body(np.random.default_rng(3)))
        began = time.time()
        frames = 0
        while not any(e["state"] == "pending" for e in chain.log("gw-demo", "alarm_state")):
            devices.publish(*wearable.frame(time.time() - 0.5, Activity.WALKING), qos=1)
            frames += 1
            if frames == 5:
                wearable.body.fall()
            assert time.time() - began < 30
            time.sleep(max(0.0, began + frames * 0.5 - time.time()))
        wait_for("the cloud has it", lambda: chain.log("cloud", "alarm_taken"))
        chain.kill("gw-demo")
        operator = chain.operator()
        incident = wait_for("the cloud raises", operator.open_life)[0]
        assert [(a["kind"], a["state"], a["raised_by"]) for a in incident["alarms"]] == [("fall", "raised", "cloud")]
        assert incident["alarms"][0]["evidence"][0]["excerpt"] is not None
        chain.start("gw-demo")
        wait_for("the gateway raises it too", lambda: len(chain.log("cloud", "alarm_taken")) > 1)
        time.sleep(0.5)
        assert [len(i["alarms"]) for i in operator.open_life()] == [1]
        operator.leave()
        leave(devices)
