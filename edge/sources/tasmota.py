"""Tasmota: Wi-Fi relays and sensors, under the usual FullTopic, others that are configured, or as a board announces it.

A board may serve several rooms. So an address is `topic`, for all that no other device claims, or `topic#part`, where
a part is a sensor (`DS18B20-1`), its serial number, a switch or a button (`Switch2`, or the text it was given).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from edge.readings import Device, DeviceRole, Reading
from edge.sources import tasmota_words as words
from edge.sources.base import NOTHING, Heard, Message, Seen
from edge.sources.roles import by_role
from edge.sources.roster import Roster, press
from edge.sources.tasmota_topics import DEFAULT, FullTopic, Place
from edge.sources.values import decode_object, reading, text
from protocols.errors import ProtocolError, Reason

DISCOVERY: Final = "tasmota/discovery/"
MAX_BOARDS: Final = 256
_DATA: Final = re.compile(r"SENSOR|STATE|RESULT|STATUS\d*|BUTTON\d+|SWITCH\d+")
_NUMBERED: Final = re.compile(r"(Switch|Button)\d+")


@dataclass(frozen=True, slots=True)
class Board:
    """What a board announced of itself: its topics and its words."""

    topic: str
    full: FullTopic
    online: str = "Online"
    offline: str = "Offline"
    off: str = "OFF"
    on: str = "ON"
    switches: frozenset[str] = frozenset()


class TasmotaSource:
    """Sensors, switches, buttons and the will of Tasmota boards; their clock is local time, so arrival counts."""

    name = "tasmota"

    def __init__(self, devices: Iterable[Device], full_topics: Sequence[str] = (DEFAULT,)) -> None:
        """Raises ValueError where a FullTopic is none."""
        self._roster = Roster(self.name, devices)
        self._parts: dict[str, dict[str, Device]] = {}
        for device in devices:
            base, _, part = (device.address or "").lower().partition("#")
            if device.source == self.name and base:
                self._parts.setdefault(base, {})[part] = device
        deep = [{"topic": base} for base in self._parts if "/" in base]
        self._full = [FullTopic(p, known=known) for p in full_topics for known in ({}, *deep)]
        self._boards: dict[str, Board] = {}
        self._topics: dict[str, str] = {}
        self.counts = self._roster.counts

    def filters(self) -> frozenset[str]:
        """Announcements, boards under the FullTopics that are configured, and configured ones that announced theirs."""
        every = (*self._full, *(b.full for b in self._boards.values()))
        return frozenset({DISCOVERY + "#"}).union(*(f.filters() for f in every))

    def wants(self, topic: str) -> bool:
        """Announcements and whatever a board says."""
        return topic.startswith(DISCOVERY) or self._place(topic)[0] is not None

    def seen(self) -> Iterable[Seen]:
        """Boards that announced themselves or spoke."""
        return (replace(s, name=s.name or s.address, model=s.model or "Tasmota") for s in self._roster.seen())

    def _place(self, topic: str) -> tuple[Place | None, Board | None]:
        for board in self._boards.values():
            if (place := board.full.match(topic)) is not None:
                return Place(board.topic, place.telemetry, place.channel), board
        return next(((p, None) for f in self._full if (p := f.match(topic)) is not None), (None, None))

    def _devices(self, topic: str) -> dict[str, Device]:
        return self._parts.get(topic.lower(), {})

    def read(self, message: Message) -> Heard:
        """Everything one message says of configured devices; raises ProtocolError."""
        if message.topic.startswith(DISCOVERY):
            self._announced(message)
            return NOTHING
        place, board = self._place(message.topic)
        if place is None:
            return NOTHING
        devices = self._devices(place.board)
        self._note(place.board, devices)
        if not devices:
            return NOTHING
        if place.telemetry and place.channel == "LWT":
            return self._will(devices, board, text(message.payload, "LWT"))
        if not _DATA.fullmatch(place.channel):
            return NOTHING
        if message.retained:
            self.counts["retained"] += 1
            return NOTHING
        body = decode_object(message.payload, f"{self.name}.{place.board[:64]}")
        return self._told(devices, board or Board(place.board, self._full[0]), place.channel, body, message.arrival)

    def _note(self, topic: str, devices: dict[str, Device], name: str = "", model: str = "", offers: Any = ()) -> None:
        known = next(iter(devices.values()), None)
        seen = Seen(self.name, topic[:64], name, model, frozenset(offers), words.INTERVAL_S)
        for device in devices.values() if known else (None,):
            self._roster.note(seen if device is None else _of(seen, device))

    @staticmethod
    def _will(devices: dict[str, Device], board: Board | None, word: str) -> Heard:
        online, offline = (board.online, board.offline) if board else ("Online", "Offline")
        if word not in (online, offline):
            return NOTHING
        return Heard(online=tuple((d.id, word == online) for d in devices.values()))

    def _told(self, devices: dict[str, Device], board: Board, channel: str, body: dict[str, Any], at: float) -> Heard:
        for key in words.WRAPPED:
            body = body[key] if isinstance(body.get(key), dict) else body
        if channel.startswith("BUTTON") and isinstance(body.get("ACTION"), str):
            body = {channel.capitalize(): {"Action": body["ACTION"]}}
        readings: dict[tuple[str, str], Reading] = {}
        presses: list[Reading] = []
        refused: list[ProtocolError] = []
        alive: set[str] = set()
        for key, value in body.items():
            device = _owner(devices, key, value)
            if device is None or value is None:
                continue
            alive.add(device.id)
            presses += self._pressed(device, board, key, value, at)
            for metric, raw, unit in self._found(device, board, key, value, str(body.get("TempUnit", "C"))):
                try:
                    where = f"{self.name}.{device.id}"
                    one = by_role(reading(device.id, metric, at, raw, unit, where), device.role)
                except ProtocolError as error:
                    refused.append(error)
                    continue
                if one is not None and readings.setdefault((device.id, one.metric), one) is not one:
                    self.counts["second_sensor"] += 1
        return Heard((*readings.values(), *presses), alive=frozenset(alive), refused=tuple(refused))

    def _found(
        self, device: Device, board: Board, key: str, value: Any, scale: str
    ) -> Iterable[tuple[str, object, str | None]]:
        """(metric, raw value, unit) of everything known in one part of a message."""
        if _is_switch(key, board) and device.role in words.SWITCH_MEANS:
            word = value.get("Action") if isinstance(value, dict) else value
            if word in (board.on, board.off):
                yield words.SWITCH_MEANS[device.role], word == board.on, None
            else:
                self.counts["no_state"] += 1
        elif key == "Wifi" and isinstance(value, dict) and value.get("Signal") is not None:
            yield "rssi", value["Signal"], "dBm"
        elif key not in words.NOT_OF_THE_ROOM:
            for name, raw in value.items() if isinstance(value, dict) else ((key, value),):
                metric = words.METRICS.get(name.lower().rstrip("0123456789"))
                if metric is not None and raw is not None:
                    yield metric, raw, scale if metric == "temperature" else None

    def _pressed(self, device: Device, board: Board, key: str, value: Any, at: float) -> list[Reading]:
        """Presses of a button, or of a switch that is one; a switch's off is the end of its press."""
        action = value.get("Action") if isinstance(value, dict) else None
        button, switch = key.startswith("Button"), _is_switch(key, board)
        pressable = button or (switch and device.role in (DeviceRole.SOS, DeviceRole.BUTTON) and action != board.off)
        if not pressable or not isinstance(action, str):
            return []
        one = press(device, "single" if switch and action in (board.on, "TOGGLE") else action, at)
        return [one] if one is not None else []

    def _announced(self, message: Message) -> None:
        """tasmota/discovery/{MAC}[/config]: where a board publishes; …/sensors: what it measures."""
        mac, _, kind = message.topic[len(DISCOVERY) :].partition("/")
        if kind == "sensors":
            self._sensors(mac, decode_object(message.payload, "tasmota.discovery"))
            return
        if kind not in ("", "config") or not mac:
            return
        self._boards.pop(mac, None)
        if not message.payload:
            return
        body = decode_object(message.payload, "tasmota.discovery")
        board = _board(mac, body)
        devices = self._devices(board.topic)
        if not devices and (devices := self._devices(mac)):
            board = replace(board, topic=mac)
        self._note(board.topic, devices, str(body.get("dn") or "")[:64], f"Tasmota {body.get('md') or ''}"[:80])
        if devices and len(self._boards) < MAX_BOARDS:
            self._boards[mac] = board
        if len(self._topics) < MAX_BOARDS or mac in self._topics:
            self._topics[mac] = board.topic

    def _sensors(self, mac: str, body: dict[str, Any]) -> None:
        topic, sensors = self._topics.get(mac), body.get("sn")
        if topic is None or not isinstance(sensors, dict):
            return
        names = {n.lower().rstrip("0123456789") for k, v in sensors.items() for n in (v if _is_sensor(k, v) else ())}
        self._note(topic, self._devices(topic), offers={words.METRICS[n] for n in names & set(words.METRICS)})


def _of(seen: Seen, device: Device) -> Seen:
    address = device.address or seen.address
    return Seen(seen.source, address, seen.name, seen.model, seen.metrics, seen.interval_s, device.id)


def _is_sensor(key: str, value: object) -> bool:
    return isinstance(value, dict) and key not in words.NOT_OF_THE_ROOM


def _is_switch(key: str, board: Board) -> bool:
    return key in board.switches or (key.startswith("Switch") and _NUMBERED.fullmatch(key) is not None)


def _owner(devices: dict[str, Device], key: str, value: object) -> Device | None:
    """Whose a part of a message is: its own device's, by name or serial number, else the board's."""
    serial = str(value.get("Id", "")).lower() if isinstance(value, dict) else ""
    return devices.get(key.lower()) or (devices.get(serial) if serial else None) or devices.get("")


def _board(mac: str, body: dict[str, Any]) -> Board:
    """A board from its announcement, in the present form or the first one; raises ProtocolError."""
    topic, prefixes = body.get("t"), body.get("tp")
    states = body.get("state") or body.get("st")
    states = states if isinstance(states, list) and len(states) > 1 else ["OFF", "ON"]
    names = body.get("swn")
    if not isinstance(topic, str) or not topic or not isinstance(prefixes, list) or len(prefixes) != 3:
        raise ProtocolError(Reason.MALFORMED, "tasmota.discovery", "names no topic and prefixes")
    known = {"topic": topic, "hostname": str(body.get("hn") or ""), "id": str(body.get("mac") or body.get("id") or mac)}
    try:
        full = FullTopic(str(body.get("ft") or DEFAULT), (str(prefixes[1]), str(prefixes[2])), known)
    except ValueError as error:
        raise ProtocolError(Reason.MALFORMED, "tasmota.discovery.ft", str(error)[:200]) from None
    return Board(
        topic[:128],
        full,
        str(body.get("onln") or body.get("on") or "Online")[:64],
        str(body.get("ofln") or body.get("of") or "Offline")[:64],
        str(states[0])[:64],
        str(states[1])[:64],
        frozenset(str(n)[:64] for n in names[:32] if n) if isinstance(names, list) else frozenset(),
    )
