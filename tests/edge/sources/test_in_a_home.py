"""The gateway as a process in a home whose devices announce themselves: it subscribes to what it learns."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from protocols.senml import resolve
from protocols.wire import decode_telemetry
from tests.support.mosquitto import mosquitto

_CONFIG = """
[gateway]
id = "gw-1"
data_dir = "{data}"
[home_broker]
port = {home}
[cloud_broker]
host = "127.0.0.1"
port = {cloud}
tls = false
[clock]
wait_for_time_s = 0
[metrics]
port = 0
[telemetry]
batch_interval_s = 0.2
[dialects]
tasmota = ["%topic%/%prefix%/"]
[[devices]]
id = "hall"
role = "motion"
source = "homeassistant"
address = "pir-1"
[[devices]]
id = "cellar"
role = "climate"
source = "tasmota"
address = "shed#DS18B20-2"
[[devices]]
id = "attic"
role = "climate"
source = "tasmota"
address = "attic"
"""
_PIR = {"stat_t": "a/pir", "dev_cla": "motion", "off_dly": 0.3, "dev": {"ids": ["pir-1"]}}
_BOARD = {"t": "shed", "ft": "house/%topic%/%prefix%/", "tp": ["cmnd", "stat", "tele"]}
_SENSORS = {"DS18B20-1": {"Temperature": 40}, "DS18B20-2": {"Temperature": 12.5}}
_SAID = (
    (("hall/motion", True), "a/pir", "ON"),
    (("cellar/temperature", 12.5), "house/shed/tele/SENSOR", json.dumps(_SENSORS)),
    (("attic/temperature", 28.5), "attic/tele/SENSOR", json.dumps({"AM2301": {"Temperature": 28.5}})),
)
_FOLLOWS = ("hall/motion", False)


def _client(port: int) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def test_announced_topics_are_subscribed_and_delays_run(tmp_path: Path) -> None:
    """From retained announcements to the cloud: a movement and, by its announced delay, its end; a board at its own
    FullTopic and one at a configured FullTopic.
    """
    batches: queue.Queue[bytes] = queue.Queue()
    with mosquitto() as home, mosquitto() as cloud:
        path = tmp_path / "gateway.toml"
        path.write_text(_CONFIG.format(data=tmp_path / "data", home=home, cloud=cloud))
        listener, device = _client(cloud), _client(home)
        listener.on_message = lambda _client, _data, message: batches.put(bytes(message.payload))
        listener.subscribe("anju/v1/gw-1/up/telemetry", 1)
        device.publish("homeassistant/binary_sensor/pir/config", json.dumps(_PIR), 1, retain=True).wait_for_publish(10)
        device.publish("tasmota/discovery/AABBCC/config", json.dumps(_BOARD), 1, retain=True).wait_for_publish(10)
        process = subprocess.Popen(
            [sys.executable, "-m", "edge.cli", "run", "--config", str(path)], stderr=subprocess.DEVNULL
        )
        missing = {_FOLLOWS, *(reading for reading, _, _ in _SAID)}
        for _ in range(100):  # the gateway may not have subscribed yet
            for reading, topic, payload in _SAID:
                if reading in missing:
                    device.publish(topic, payload, 1)
            try:
                batch = decode_telemetry(batches.get(timeout=0.6))
            except queue.Empty:
                continue
            missing -= {(r.name, r.value) for r in resolve(batch.records, batch.sent)}
            if not missing:
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        for client in (listener, device):
            client.disconnect()
            client.loop_stop()
    assert not missing
