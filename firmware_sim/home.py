"""A fully simulated home on a home broker: one person, all devices, real time. Told what to do line by line.

It reports what happens as JSON lines: fall {impact_at}, said {phrase, text}, pressed {button}.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any

import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from firmware_sim.devices import FRAME_S, Sensors, Wearable, pack
from firmware_sim.person import Person
from firmware_sim.recordings import Trial
from firmware_sim.signals import Activity, Body, Vitals
from protocols.errors import ProtocolError
from protocols.topics import HomeDown, home_down
from protocols.wire import decode_say

_SPEAKER = "speaker-1"
_LEAD_S = 2.0
"""Quiet signal before a played trial (see Body.play)."""

COMMANDS = "fall | play | sos | cancel | help | smoke | clear-smoke | go ROOM | stand-up | quit"


@dataclass(slots=True)
class HomeOptions:
    """How to run a home."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = None
    seed: int = 1
    lat: float = 22.576
    lon: float = 114.048
    fall_after_s: float | None = None
    trial: Trial | None = None
    room: str | None = None


@dataclass(slots=True)
class SimulatedHome:
    """Runs until `stop` is set or it is told to quit."""

    options: HomeOptions
    tell: Callable[[dict[str, Any]], None]
    stop: threading.Event = field(default_factory=threading.Event)
    orders: queue.Queue[str] = field(default_factory=queue.Queue)
    stop_after_s: float | None = None

    def run(self) -> None:
        """Connect and play. Raises OSError if the broker cannot be reached at the start."""
        options = self.options
        rng = np.random.default_rng(options.seed)
        person = Person(rng)
        if options.room is not None:
            person.go(options.room, Activity.WALKING)
        body = Body(rng)
        wearable = Wearable(body)
        sensors = Sensors(person, Vitals(rng), rng, options.lat, options.lon)
        client = self._connect()
        began = time.time()
        frames, next_tick = 0, began
        fall_at = began + options.fall_after_s if options.fall_after_s is not None else None
        try:
            while not self.stop.is_set():
                now = time.time()
                if self.stop_after_s is not None and now > began + self.stop_after_s:
                    break
                start = began + frames * FRAME_S
                if now < start + FRAME_S:
                    self._obey(client, person, body, start)
                    self.stop.wait(min(0.05, start + FRAME_S - now))
                    continue
                if fall_at is not None and start >= fall_at:
                    self._fall(person, body, start)
                    fall_at = None
                stay = person.at(_second_of_day(start))
                client.publish(*wearable.frame(start, stay.activity), qos=1)
                frames += 1
                if now >= next_tick:
                    next_tick = max(next_tick + 1.0, now - 1.0)
                    for topic, payload in sensors.tick(now, stay):
                        client.publish(topic, payload, qos=1)
        finally:
            client.disconnect()
            client.loop_stop()

    def _connect(self) -> mqtt.Client:
        options = self.options
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"home-sim-{options.seed}")
        if options.username is not None:
            client.username_pw_set(options.username, options.password)
        client.on_connect = lambda c, *_: c.subscribe(home_down(_SPEAKER, HomeDown.SAY), 1)
        client.on_message = self._on_message
        client.reconnect_delay_set(1, 5)
        client.connect(options.host, options.port, keepalive=30)
        client.loop_start()
        return client

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        try:
            say = decode_say(bytes(message.payload))
        except ProtocolError as error:
            self.tell({"event": "refused", "where": error.where, "what": error.what})
            return
        self.tell(
            {"event": "said", "at": time.time(), "phrase": say.phrase, "text": say.text, "loudness": say.loudness}
        )

    def _fall(self, person: Person, body: Body, start: float) -> None:
        stay = person.at(_second_of_day(start))
        trial = self.options.trial
        if trial is not None:
            body.play(trial.samples)
            impact_at, signal = start + _LEAD_S + trial.impact_s, trial.name
        else:
            impact_at, signal = start + body.fall(), "simulated"
        person.fallen = True
        person.go(stay.room, Activity.LYING)
        self.tell({"event": "fall", "at": start, "impact_at": impact_at, "room": stay.room, "signal": signal})

    def _obey(self, client: mqtt.Client, person: Person, body: Body, start: float) -> None:
        try:
            order, _, rest = self.orders.get_nowait().strip().partition(" ")
        except queue.Empty:
            return
        now = time.time()
        if order in ("fall", "play"):
            self._fall(person, body, start)
        elif order == "sos":
            client.publish(*pack("sos-1", now, sos=True), qos=1)
            client.publish(*pack("sos-1", now + 0.3, sos=False), qos=1)
            self.tell({"event": "pressed", "at": now, "button": "sos"})
        elif order in ("cancel", "help"):
            client.publish(*pack("button-1", now, button=order), qos=1)
            self.tell({"event": "pressed", "at": now, "button": order})
        elif order in ("smoke", "clear-smoke"):
            client.publish(*pack("smoke-1", now, smoke=order == "smoke"), qos=1)
        elif order == "go":
            try:
                person.go(rest, Activity.WALKING)
            except ValueError as error:
                self.tell({"event": "refused", "what": str(error)})
        elif order == "stand-up":
            body.stand_up()
            person.follow_plan()
        elif order == "quit":
            self.stop.set()
        elif order:
            self.tell({"event": "refused", "what": f"{order!r} is none of: {COMMANDS}"})


def _second_of_day(at: float) -> float:
    local = datetime.fromtimestamp(at)  # noqa: DTZ006 - the day plan is in the machine's local time
    return local.hour * 3600 + local.minute * 60 + local.second


def read_orders(home: SimulatedHome, lines: IO[str]) -> None:
    """Hand lines to the home from a thread of its own, until they end."""

    def read() -> None:
        for line in lines:
            home.orders.put(line)

    threading.Thread(target=read, daemon=True).start()


def print_event(event: dict[str, Any]) -> None:
    """One JSON line."""
    sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")
    sys.stdout.flush()
