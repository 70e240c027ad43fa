"""A gateway between two real brokers that keep what they hold, each of which a round can stop, kill or damage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.readings import SignalFrame
from protocols.waveform import WaveFrame, encode_wave
from tests.faults.gateway_cloud import GATEWAY, Cloud
from tests.support.chain import leave, wait_for
from tests.support.gateway import ask_status, wiring
from tests.support.mosquitto import free_port, mosquitto_program, wait_for_port
from tests.support.proxy import SlowProxy

_DISK_MB = 24
_BROKER = """listener {port} 127.0.0.1
allow_anonymous true
user root
persistence true
persistence_location {folder}/
max_queued_messages 0
"""
_CONFIG = """[telemetry]
batch_interval_s = 0.3
[spool]
group_commit_s = 0.5
[uplink]
resend_after_s = 2
alarm_answer_s = 1
probe_s = 1
backoff_first_s = 0.2
backoff_limit_s = 1
backlog_per_s = 1000
keepalive_s = 4
[status]
heartbeat_s = 2
[clock]
wait_for_time_s = 30
[metrics]
port = 0
[[devices]]
id = "light"
role = "climate"
[[devices]]
id = "plain"
role = "climate"
[[devices]]
id = "sos"
role = "sos"
room = "bedroom"
[[devices]]
id = "worn"
role = "wearable"
position = "waist"
"""


class Bed:
    """The running system; `restarts` counts ends of the gateway that no fault had caused directly."""

    def __init__(self, folder: Path, disk: Path | None) -> None:
        self.folder = folder
        self.disk = disk
        self.data = (disk or folder) / "data"
        self.clock = folder / "clock"
        self.ports = {"home": free_port(), "cloud": free_port()}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.wanted = False
        self.restarts = 0
        self.config_version = 0
        self.wave_seq = 0
        self.set_clock(0.0)
        for name in self.ports:
            self.start_broker(name)
        self.proxy = SlowProxy(self.ports["cloud"])
        self.cloud = Cloud(self.ports["cloud"])
        self.devices = self._publisher("devices")
        self.rough = self._publisher("rough")
        self._configure()

    def _configure(self) -> None:
        text = wiring(self.data, self.ports["home"], self.proxy.port, GATEWAY) + _CONFIG
        (self.folder / "gateway.toml").write_text(text)

    def _publisher(self, name: str) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
        client.user_data_set(set[int]())
        client.on_publish = lambda _client, acknowledged, mid, *_: acknowledged.add(mid)
        client.max_inflight_messages_set(500)
        client.reconnect_delay_set(1, 1)
        client.connect("127.0.0.1", self.ports["home"], keepalive=5)
        client.loop_start()
        return client

    def set_clock(self, offset_s: float, *, synced: bool = True) -> None:
        """Step the gateway's wall clock; replaced whole, so that no half of it is read."""
        new = self.clock.with_name("clock.new")
        new.write_text(f"{offset_s} {int(synced)}")
        new.replace(self.clock)

    def start_broker(self, name: str) -> None:
        """Start one of the two brokers on its own port, with what it kept."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        config = folder / "mosquitto.conf"
        config.write_text(_BROKER.format(port=self.ports[name], folder=folder))
        with (folder / "log").open("ab") as log:
            command = [mosquitto_program(), "-c", str(config)]
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for_port(self.ports[name])

    def stop(self, name: str) -> None:
        """SIGTERM, and wait until it has ended."""
        process = self.processes.pop(name)
        process.terminate()
        process.wait(20)

    def start_gateway(self) -> None:
        """Start it without waiting."""
        self.wanted = True
        command = [sys.executable, "-m", "tests.faults.stepping", str(self.clock), "run", "--config"]
        with (self.folder / "gateway.log").open("ab") as log:
            command.append(str(self.folder / "gateway.toml"))
            self.processes["gateway"] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end_gateway(self, *, kill: bool) -> None:
        """End it by SIGKILL or SIGTERM; it stays away."""
        self.wanted = False
        process = self.processes.pop("gateway")
        if kill:
            process.kill()
        else:
            process.terminate()
        process.wait(20)

    def wear(self, frames: list[SignalFrame]) -> None:
        """The wearable sends its signal."""
        for frame in frames:
            steps = np.round(frame.samples * 1000).astype(np.int16)
            wave = WaveFrame("worn", frame.seq, frame.at, frame.rate_hz, 0.001, 16.0, 0.0, frame.channels, steps)
            self.devices.publish("home/v1/worn/wave", encode_wave(wave), qos=1)

    def tend(self) -> None:
        """What systemd does: a gateway that ended by itself is started again."""
        process = self.processes.get("gateway")
        if self.wanted and process is not None and process.poll() is not None:
            self.restarts += 1
            self.start_gateway()

    def status(self) -> Any:
        """What `anju-gateway status --json` prints; None while nobody answers."""
        self.tend()
        try:
            return ask_status(self.data)
        except (OSError, ValueError):
            return None

    def log_size(self) -> int:
        """Where the log ends now."""
        return (self.folder / "gateway.log").stat().st_size

    def log(self, since: int) -> list[dict[str, Any]]:
        """Everything logged from a place on; half a line, written when it was killed, is left out."""
        with (self.folder / "gateway.log").open("rb") as file:
            file.seek(since)
            lines = file.read().splitlines()
        found = []
        for line in lines:
            if line.startswith(b"{"):
                try:
                    found.append(json.loads(line))
                except ValueError:
                    continue
        return found

    def traces(self, since: int) -> int:
        """Tracebacks in the log from a place on."""
        with (self.folder / "gateway.log").open("rb") as file:
            file.seek(since)
            return file.read().count(b"Traceback (most recent call last)")

    def close(self) -> None:
        """Stop everything, the last first."""
        for client in (self.devices, self.rough):
            leave(client)
        if "gateway" in self.processes:
            self.end_gateway(kill=False)
        self.cloud.close()
        self.proxy.close()
        for name in self.ports:
            if name in self.processes:
                self.stop(name)


def small_disk(folder: Path) -> Path | None:
    """A file system that can be filled, for the gateway's data; None without the right to mount."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return None
    disk = folder / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(disk)]
    return disk if subprocess.run(command, check=False, capture_output=True).returncode == 0 else None


@contextmanager
def running_bed(folder: Path) -> Iterator[Bed]:
    """A started bed whose gateway is connected on both sides."""
    disk = small_disk(folder)
    try:
        bed = Bed(folder, disk)
        try:
            bed.start_gateway()
            wait_for("gateway", lambda: connected(bed))
            yield bed
        finally:
            bed.close()
    finally:
        if disk is not None:
            subprocess.run(["umount", str(disk)], check=False)


def connected(bed: Bed, *, the_time: bool = False) -> bool:
    """Whether the gateway has both its links, and where asked the true time."""
    status = bed.status()
    if not status or not status["cloud_connected"] or not status["home_broker_connected"]:
        return False
    return not the_time or abs(status["at"] - time.time()) < 1.0
