"""The home of the gateway's benchmark: thirty ambient sensors at their usual rates, two wearables, an oximeter."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from firmware_sim.devices import FRAME_S, Message, Wearable, pack
from firmware_sim.signals import Activity, Body


@dataclass(frozen=True, slots=True)
class Kind:
    """So many sensors of a role that tell `metric` every `every_s`."""

    count: int
    role: str
    metric: str
    every_s: float
    unit: str = ""


AMBIENT = (
    Kind(8, "motion", "motion", 60),
    Kind(6, "contact", "contact_open", 300),
    Kind(7, "climate", "temperature", 60, "Cel"),
    Kind(2, "bed", "bed_occupied", 30),
    Kind(2, "presence", "presence", 10),
    Kind(2, "smoke", "smoke", 120),
    Kind(2, "flood", "flood", 300),
    Kind(1, "gas", "gas", 60),
)
WEARABLES = ("wrist-1", "wrist-2")
BURST_PER_S = 10_000
_SLICE_S = 0.01


def ids() -> Iterator[tuple[str, Kind]]:
    """Every ambient sensor."""
    for kind in AMBIENT:
        for n in range(kind.count):
            yield f"{kind.role}-{n + 1}", kind


def devices_toml() -> str:
    """The [[devices]] of the configuration."""
    lines = [f'[[devices]]\nid = "{name}"\nrole = "{kind.role}"\nroom = "room_{name[-1]}"' for name, kind in ids()]
    lines += [f'[[devices]]\nid = "{name}"\nrole = "wearable"\nposition = "wrist"' for name in WEARABLES]
    lines.append('[[devices]]\nid = "oximeter-1"\nrole = "oximeter"')
    lines.append('[[devices]]\nid = "button-1"\nrole = "button"')
    return "\n".join(lines)


class Home:
    """Plays the sensors in a thread of its own; remembers when each message that may raise an alarm was sent."""

    def __init__(self, port: int, seed: int) -> None:
        self._rng = random.Random(seed)
        self._port = port
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._bodies = {name: Body(np.random.default_rng(seed + i)) for i, name in enumerate(WEARABLES)}
        self._wearables = {name: Wearable(body, name) for name, body in self._bodies.items()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self.frames: dict[str, list[tuple[float, float]]] = {name: [] for name in WEARABLES}
        """When each frame was published, and the time of its first sample."""
        self.flags: dict[str, list[tuple[float, bool]]] = {}
        """What each detector of smoke has said, and when."""
        self._thread.start()

    def _play(self) -> None:
        now = time.time()
        due = [(now + self._rng.uniform(0, kind.every_s), name, kind) for name, kind in ids()]
        frames, vitals = now, now
        while not self._stop.is_set():
            now = time.time()
            for i, (at, name, kind) in enumerate(due):
                if at <= now:
                    due[i] = (at + kind.every_s, name, kind)
                    self._tell(name, kind, now)
            if vitals <= now:
                vitals += 1
                signs = {
                    "heart_rate": (self._rng.randint(60, 80), "beat/min"),
                    "spo2": (self._rng.randint(95, 99), "%"),
                }
                self._send(pack("oximeter-1", now, **signs))
            if frames <= now:
                for name, wearable in self._wearables.items():
                    message = wearable.frame(frames - FRAME_S, Activity.WALKING)
                    self.frames[name].append((time.time(), frames - FRAME_S))
                    self._send(message)
                frames += FRAME_S
            time.sleep(0.005)

    def _tell(self, name: str, kind: Kind, now: float) -> None:
        if kind.role == "smoke":
            self.flag(name, kind.metric, False)
        elif kind.unit:
            self._send(pack(name, now, **{kind.metric: (round(self._rng.uniform(18, 26), 1), kind.unit)}))
        else:
            never = kind.role in ("flood", "gas")
            self._send(pack(name, now, **{kind.metric: not never and self._rng.random() < 0.5}))

    def _send(self, message: Message) -> None:
        self._client.publish(*message, qos=1)

    def fall(self, name: str) -> None:
        """Somebody falls, and stands up when told."""
        self._bodies[name].fall()

    def stand_up(self, name: str) -> None:
        """After a fall."""
        self._bodies[name].stand_up()

    def cancel(self) -> None:
        """The resident says that all is well: the next fall is an alarm of its own."""
        self._send(pack("button-1", time.time(), button="cancel"))

    def flag(self, device: str, metric: str, value: bool) -> None:
        """One message of a contact that raises an alarm or ends it."""
        self.flags.setdefault(device, []).append((time.time(), value))
        self._send(pack(device, time.time(), **{metric: value}))

    def burst(self, seconds: float) -> int:
        """Ten thousand messages a second at QoS 0 from all climate sensors, none of them of use; returns how many."""
        sent = 0
        with socket.create_connection(("127.0.0.1", self._port)) as link:
            link.sendall(b"\x10\x17\x00\x04MQTT\x04\x02\x00\x3c\x00\x0banju-burst1")
            link.recv(4)
            began = time.monotonic()
            while (passed := time.monotonic() - began) < seconds:
                piece = []
                while sent < passed * BURST_PER_S:
                    device = f"climate-{sent % 7 + 1}"
                    body = b'[{"bn":"%s/","n":"humidity","u":"%%RH","v":%.2f}]' % (device.encode(), sent % 8_000 / 100)
                    topic = f"home/v1/{device}/senml".encode()
                    rest = len(topic).to_bytes(2, "big") + topic + body
                    piece.append(bytes((0x30, len(rest))) + rest)
                    sent += 1
                link.sendall(b"".join(piece))
                time.sleep(_SLICE_S)
            link.sendall(b"\xe0\x00")
        return sent

    def close(self) -> None:
        """Stop and leave."""
        self._stop.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()
