"""A gateway daemon as a process between two real brokers, and a cloud of the test's own that answers when told to."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from protocols.topics import Down, Up, down, parse_up
from protocols.wire import (
    Ack,
    AckRanges,
    AlarmEvent,
    Command,
    Lane,
    Reply,
    Status,
    TelemetryBatch,
    decode_alarm,
    decode_reply,
    decode_status,
    decode_telemetry,
    encode,
)
from tests.support.chain import wait_for
from tests.support.mosquitto import mosquitto

GATEWAY = "gw-1"
UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "anju-gateway.service"
_WIRING = """[gateway]
id = "{gateway}"
data_dir = "{data}"
[home_broker]
port = {home}
[cloud_broker]
host = "127.0.0.1"
port = {cloud}
{tls}"""
_CONFIG = """[telemetry]
batch_interval_s = 1
[clock]
wait_for_time_s = 0
[metrics]
port = 0
[[devices]]
id = "sos"
role = "sos"
room = "bedroom"
[[devices]]
id = "therm"
role = "thermometer"
room = "bedroom"
"""


def wiring(data: Path, home: int, cloud: int, gateway: str = GATEWAY, tls: str = "tls = false\n") -> str:
    """The sections that every configuration of a test begins with: who it is, where its data is, both brokers; `tls`
    are further lines of [cloud_broker].
    """
    return _WIRING.format(gateway=gateway, data=data, home=home, cloud=cloud, tls=tls)


def as_shipped(compiled: Path) -> dict[str, str]:
    """The environment of the systemd unit, with `compiled` as its cache of compiled modules."""
    lines = [line.removeprefix("Environment=") for line in UNIT.read_text().splitlines() if "Environment=" in line]
    shipped = dict(line.split("=", 1) for line in lines)
    return shipped | {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(compiled)}


class AnsweringCloud:
    """Takes what a gateway sends and, while `answers`, acknowledges it as the cloud does."""

    def __init__(self, port: int, *, answers: bool = True) -> None:
        self.answers = answers
        self.pace: float | None = None
        """Back-log batches a second it asks for."""
        self.alarms: list[tuple[float, AlarmEvent]] = []
        self.batches: list[tuple[float, TelemetryBatch]] = []
        self.statuses: list[Status] = []
        self.replies: list[Reply] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("anju/v1/+/up/#", 1)
        self._client.loop_start()

    def _take(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        channel, at, body = parse_up(message.topic).channel, time.monotonic(), bytes(message.payload)
        if channel is Up.STATUS:
            self.statuses.append(decode_status(body))
        elif channel is Up.REPLY:
            self.replies.append(decode_reply(body))
        elif channel is Up.ALARM:
            event = decode_alarm(body)
            self.alarms.append((at, event))
            self._acknowledge(client, AckRanges(event.epoch, Lane.ALARM, [(event.seq, event.seq)]))
        else:
            batch = decode_telemetry(body)
            self.batches.append((at, batch))
            self._acknowledge(client, AckRanges(batch.epoch, Lane(batch.lane), [(batch.seq, batch.seq)]))

    def _acknowledge(self, client: mqtt.Client, ranges: AckRanges) -> None:
        if self.answers:
            client.publish(
                down(GATEWAY, Down.ACK), encode(Ack(v=1, at=time.time(), ranges=[ranges], pace=self.pace)), 0
            )

    def command(self, command: Command) -> None:
        """Send a command."""
        self._client.publish(down(GATEWAY, Down.COMMAND), encode(command), 1)

    def sequences(self, lane: Lane) -> set[int]:
        """What has arrived of one telemetry lane."""
        return {batch.seq for _, batch in list(self.batches) if batch.lane == lane}

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_message = None  # the cycle would keep the client's sockets until a collection that warns


def ask_status(data: Path) -> Any:
    """What the gateway with this data folder says of itself. Raises OSError while nobody answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(data / "status.sock"))
        return json.loads(b"".join(iter(lambda: connection.recv(65_536), b"")))


@dataclass(slots=True)
class GatewayProcess:
    """The daemon; `more` is appended to its configuration."""

    folder: Path
    home: int
    cloud: int
    more: str = ""
    process: subprocess.Popen[bytes] | None = None
    devices: mqtt.Client = field(init=False)

    def __post_init__(self) -> None:
        self.write(self.more)
        self.devices = mqtt.Client(CallbackAPIVersion.VERSION2)
        self.devices.connect("127.0.0.1", self.home)
        self.devices.loop_start()

    @property
    def path(self) -> Path:
        """The configuration file."""
        return self.folder / "gateway.toml"

    @property
    def data(self) -> Path:
        """Where the spool is."""
        return self.folder / "data"

    def write(self, more: str) -> None:
        """Write the configuration anew."""
        self.path.write_text(wiring(self.data, self.home, self.cloud) + _CONFIG + more)

    def start(self, **environment: str) -> None:
        """Start and wait until it listens to the home."""
        command = [sys.executable, "-m", "edge.cli", "run", "--config", str(self.path)]
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, env=environment or None)
        known = len(self.log("home_broker_connected"))
        wait_for("gateway at home", lambda: len(self.log("home_broker_connected")) > known)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout_s: float = 10.0) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def log(self, event: str) -> list[dict[str, Any]]:
        """What it has logged of one kind."""
        path = self.folder / "gateway.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if f'"event": "{event}"' in line and line.endswith("}")]

    def status(self) -> Any:
        """What `anju-gateway status --json` prints. Raises OSError while nobody answers."""
        return ask_status(self.data)

    def press_sos(self) -> None:
        """The resident's button."""
        self.devices.publish("home/v1/sos/senml", b'[{"bn":"sos/","n":"sos","vb":true}]', 1)

    def measure(self, value: float) -> None:
        """One temperature."""
        self.devices.publish(
            "home/v1/therm/senml", b'[{"bn":"therm/","n":"temperature","u":"Cel","v":%.2f}]' % value, 1
        )

    def close(self) -> None:
        """kill -9 if it still runs; the devices leave."""
        self.devices.disconnect()
        self.devices.loop_stop()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def home_and_cloud(
    folder: Path,
    *,
    more: str = "",
    answers: bool = True,
    through: Callable[[int], int] = lambda port: port,
) -> Iterator[tuple[GatewayProcess, AnsweringCloud]]:
    """Two brokers, a cloud, and a gateway that is not started; `through` maps the cloud broker's port to what the
    gateway connects to.
    """
    with mosquitto() as home, mosquitto() as broker:
        cloud = AnsweringCloud(broker, answers=answers)
        gateway = GatewayProcess(folder, home, through(broker), more)
        try:
            yield gateway, cloud
        finally:
            gateway.close()
            cloud.close()
