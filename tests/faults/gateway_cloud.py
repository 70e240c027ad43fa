"""The cloud of the gateway's fault rounds: stores what comes, acknowledges it, commands, and keeps books of it all."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from protocols.senml import resolve
from protocols.topics import Down, Up, down, parse_up
from protocols.wire import (
    Ack,
    AckRanges,
    AlarmEvent,
    Command,
    Lane,
    Reply,
    Status,
    decode_alarm,
    decode_reply,
    decode_status,
    decode_telemetry,
    encode,
)

GATEWAY = "gw-1"
Place = tuple[str, str, int]
"""Epoch, lane, sequence."""


@dataclass(slots=True)
class Books:
    """What has arrived: per device and value the times it is stored under; alarms by id; what each place held."""

    readings: dict[tuple[str, float], set[int]] = field(default_factory=lambda: defaultdict(set))
    alarms: dict[str, list[AlarmEvent]] = field(default_factory=lambda: defaultdict(list))
    places: dict[Place, bytes] = field(default_factory=dict)
    changed_places: list[Place] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)


class Cloud:
    """Connects again by itself; telemetry is idempotent by device, metric and time, alarms by id and state."""

    def __init__(self, port: int) -> None:
        self.books = Books()
        self.lock = threading.Lock()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("anju/v1/+/up/#", 1)
        self._client.on_message = self._take
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port, keepalive=5)
        self._client.loop_start()

    def _take(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        channel, body = parse_up(message.topic).channel, bytes(message.payload)
        with self.lock:
            if channel is Up.STATUS:
                self.books.statuses.append(decode_status(body))
            elif channel is Up.REPLY:
                self.books.replies.append(decode_reply(body))
            elif channel is Up.ALARM:
                event = decode_alarm(body)
                self.books.alarms[event.alarm_id].append(event)
                self._enter((event.epoch, Lane.ALARM, event.seq), body)
            else:
                batch = decode_telemetry(body)
                for r in resolve(batch.records, batch.sent):
                    if isinstance(r.value, float) and not r.name.endswith("/battery"):
                        self.books.readings[r.name.split("/")[0], r.value].add(round(r.at * 1000))
                self._enter((batch.epoch, batch.lane, batch.seq), body)

    def _enter(self, place: Place, body: bytes) -> None:
        before = self.books.places.setdefault(place, body)
        if before != body:
            self.books.changed_places.append(place)
        epoch, lane, seq = place
        ack = Ack(v=1, at=time.time(), ranges=[AckRanges(epoch, Lane(lane), [(seq, seq)])])
        self._client.publish(down(GATEWAY, Down.ACK), encode(ack), 0)

    def has(self, device: str, value: float) -> bool:
        """Whether a reading has arrived."""
        with self.lock:
            return bool(self.books.readings.get((device, value)))

    def alarm_ids(self) -> frozenset[str]:
        """All alarms that have arrived."""
        with self.lock:
            return frozenset(self.books.alarms)

    def replied(self, command_id: str) -> list[Reply]:
        """Answers to one command."""
        with self.lock:
            return [reply for reply in self.books.replies if reply.id == command_id]

    def command(self, command: Command) -> None:
        """Send a command once."""
        self._client.publish(down(GATEWAY, Down.COMMAND), encode(command), 1)

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()
