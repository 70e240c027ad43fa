"""The gateway daemon as a process, between two real brokers."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from protocols.wire import AlarmState, decode_alarm
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
[[devices]]
id = "sos"
role = "sos"
room = "bedroom"
"""


def _listen(port: int, topic: str) -> tuple[mqtt.Client, queue.Queue[bytes]]:
    got: queue.Queue[bytes] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: got.put(bytes(message.payload))
    client.connect("127.0.0.1", port)
    client.subscribe(topic, 1)
    client.loop_start()
    return client, got


def _start(path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "edge.cli", "run", "--config", str(path)], stderr=subprocess.DEVNULL)


def _press_until_heard(presser: mqtt.Client, alarms: queue.Queue[bytes]) -> bytes:
    """Press until the alarm is out: the gateway may not have subscribed yet, and further presses join the open
    alarm.
    """
    for _ in range(60):
        presser.publish("home/v1/sos/senml", b'[{"bn":"sos/","n":"sos","vb":true}]', 1)
        try:
            return alarms.get(timeout=0.5)
        except queue.Empty:
            continue
    raise TimeoutError("no alarm after 60 presses")


def test_sos_survives_kill_and_is_sent_again(tmp_path: Path) -> None:
    """An SOS reaches the cloud despite garbage before it; killed unacknowledged, the gateway sends the same event
    again.
    """
    with mosquitto() as home, mosquitto() as cloud:
        path = tmp_path / "gateway.toml"
        path.write_text(_CONFIG.format(data=tmp_path / "data", home=home, cloud=cloud))
        listener, alarms = _listen(cloud, "anju/v1/gw-1/up/alarm")
        births, born = _listen(cloud, "anju/v1/gw-1/up/status")
        presser, _ = _listen(home, "home/v1/none/say")
        process = _start(path)
        born.get(timeout=30)
        presser.publish("home/v1/sos/senml", b"garbage", 1)
        first = decode_alarm(_press_until_heard(presser, alarms))
        process.kill()
        process.wait(10)
        process = _start(path)
        again = decode_alarm(alarms.get(timeout=30))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        for client in (listener, births, presser):
            client.disconnect()
            client.loop_stop()
    assert first.state is AlarmState.RAISED
    assert (again.alarm_id, again.epoch, again.seq) == (first.alarm_id, first.epoch, first.seq)
