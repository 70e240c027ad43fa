"""Lamp, siren and speaker of every dialect on a real home broker: an alarm's course as the devices hear it."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge import config
from edge.devices import listen
from protocols.wire import Progress, ProgressStage, decode_say
from tests.support.chain import wait_for
from tests.support.gateway import GatewayProcess, home_and_cloud

_MORE = """
[[devices]]
id = "kitchen-smoke"
role = "smoke"
room = "kitchen"
[[devices]]
id = "speaker"
role = "speaker"
[[alarms.outputs]]
name = "床头灯"
kind = "lamp"
dialect = "zigbee2mqtt"
[[alarms.outputs]]
name = "hall siren"
kind = "siren"
dialect = "zigbee2mqtt"
[[alarms.outputs]]
name = "plug"
kind = "lamp"
dialect = "tasmota"
"""
_SIREN = {
    "name": "Bell",
    "~": "esp/bell",
    "cmd_t": "~/siren/command",
    "pl_on": "RING",
    "pl_off": "STILL",
    "uniq_id": "b1",
    "dev": {"ids": ["b1"], "name": "Bell"},
}


@contextmanager
def _devices(port: int) -> Iterator[queue.Queue[tuple[str, bytes]]]:
    """What the outputs of the home are sent."""
    heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
    ready: queue.Queue[None] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, m: heard.put((m.topic, bytes(m.payload)))
    client.on_subscribe = lambda *_: ready.put(None)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.publish("homeassistant/siren/b1/config", json.dumps(_SIREN).encode(), 1, retain=True)
    client.subscribe([("zigbee2mqtt/+/set", 1), ("cmnd/#", 1), ("esp/#", 1), ("home/v1/+/say", 1)])
    ready.get(timeout=10)
    yield heard
    client.disconnect()
    client.loop_stop()


def _collect(heard: queue.Queue[tuple[str, bytes]], topics: set[str]) -> dict[str, bytes]:
    """The newest message on each of `topics`, once all have been heard."""
    found: dict[str, bytes] = {}
    while not topics <= found.keys():
        topic, payload = heard.get(timeout=30)
        found[topic] = payload
    return found


def _smoke(gateway: GatewayProcess, present: bool) -> None:
    value = "true" if present else "false"
    body = f'[{{"bn":"kitchen-smoke/","n":"smoke","vb":{value}}}]'
    gateway.devices.publish("home/v1/kitchen-smoke/senml", body.encode(), 1)


def test_smoke_from_siren_to_silence(tmp_path: Path) -> None:
    """Smoke sounds every siren at once; that help comes is said over it on the speaker while the sirens go on; the
    end puts out lamps and sirens. The siren of Home Assistant was configured from its own announcement.
    """
    with home_and_cloud(tmp_path) as (gateway, cloud), _devices(gateway.home) as heard:
        gateway.write(_MORE + _drafted(gateway))
        gateway.start()
        _smoke(gateway, present=True)
        sirens = {"zigbee2mqtt/hall siren/set", "esp/bell/siren/command"}
        lamps = {"zigbee2mqtt/床头灯/set", "cmnd/plug/POWER"}
        on = _collect(heard, sirens | lamps | {"home/v1/speaker/say"})
        assert json.loads(on["zigbee2mqtt/hall siren/set"])["warning"]["mode"] == "emergency"
        assert json.loads(on["zigbee2mqtt/床头灯/set"])["state"] == "ON"
        assert (on["esp/bell/siren/command"], on["cmnd/plug/POWER"]) == (b"RING", b"ON")
        siren = decode_say(on["home/v1/speaker/say"])
        assert (siren.phrase, siren.loudness) == ("smoke_siren", "siren")

        alarm = wait_for("alarm", lambda: cloud.alarms)[0][1]
        expires = time.time() + 60
        cloud.command(Progress(1, "p1", expires, "i1", ProgressStage.DISPATCHED, "nurse", alarm.alarm_id))
        said = _collect(heard, {"home/v1/speaker/say"})
        phrase = decode_say(said["home/v1/speaker/say"])
        assert (phrase.phrase, phrase.loudness, set(said)) == ("nurse_on_the_way", "normal", {"home/v1/speaker/say"})
        assert phrase.id != siren.id

        _smoke(gateway, present=False)
        off = _collect(heard, sirens | lamps | {"home/v1/speaker/say"})
        assert json.loads(off["zigbee2mqtt/hall siren/set"])["warning"]["mode"] == "stop"
        assert (off["esp/bell/siren/command"], off["cmnd/plug/POWER"]) == (b"STILL", b"OFF")
        assert decode_say(off["home/v1/speaker/say"]).phrase == "condition_ended"


def _drafted(gateway: GatewayProcess) -> str:
    """What `anju-gateway devices --discover` writes of outputs, taken as it is."""
    return listen.report(config.load(gateway.path), 1.0, discover=True)
