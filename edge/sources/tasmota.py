"""Tasmota: Wi-Fi relays and sensors (`tele/{topic}/SENSOR`, `STATE`, `LWT`, and `stat/{topic}/…`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from edge.readings import Device, DeviceRole, Reading
from edge.sources.base import NOTHING, Heard, Message, Publication, Seen
from edge.sources.roster import Roster, press
from edge.sources.values import decode_object, reading, text
from protocols.errors import ProtocolError

METRICS: Final = {
    "temperature": "temperature",
    "humidity": "humidity",
    "illuminance": "illuminance",
    "co": "co_ppm",
    "battery": "battery",
    "batterypercentage": "battery",
}
"""Value of a sensor (lower case) → metric."""

SWITCH_MEANS: Final = {
    DeviceRole.CONTACT: "contact_open",
    DeviceRole.MOTION: "motion",
    DeviceRole.PRESENCE: "presence",
    DeviceRole.FLOOD: "flood",
    DeviceRole.SMOKE: "smoke",
    DeviceRole.GAS: "gas",
    DeviceRole.BED: "bed_occupied",
}
"""What `Switch1` ON says, by the role the configuration gives the device."""

INTERVAL_S: Final = 300.0
"""Tasmota's own TelePeriod."""


class TasmotaSource:
    """Sensors, switches, buttons and the will of Tasmota devices; its clock is local time, so arrival counts."""

    name = "tasmota"

    def __init__(self, devices: Iterable[Device]) -> None:
        self._roster = Roster(self.name, devices)
        self.counts = self._roster.counts

    def filters(self) -> frozenset[str]:
        """Telemetry and status of all devices with the usual full topic."""
        return frozenset({"tele/+/+", "stat/+/+"})

    def wants(self, topic: str) -> bool:
        """tele/… and stat/…."""
        return topic.startswith(("tele/", "stat/"))

    def seen(self) -> Iterable[Seen]:
        """Devices that spoke."""
        return self._roster.seen()

    def read(self, message: Message) -> Heard:
        """Everything one message says of a configured device; raises ProtocolError."""
        parts = message.topic.split("/")
        if len(parts) != 3 or not parts[1]:
            return NOTHING
        prefix, name, channel = parts
        device = self._roster.find(name)
        self._roster.note(
            Seen(self.name, name[:64], name[:64], "Tasmota", interval_s=INTERVAL_S, id=device.id if device else None)
        )
        if device is None:
            return NOTHING
        if prefix == "tele" and channel == "LWT":
            return Heard(online=((device.id, text(message.payload, "LWT") == "Online"),))
        if channel not in ("SENSOR", "STATE", "RESULT"):
            return NOTHING
        if message.retained:
            self.counts["retained"] += 1
            return NOTHING
        where = f"{self.name}.{device.id}"
        body = decode_object(message.payload, where)
        readings, refused = self._values(device, body, message.arrival, where)
        return Heard(tuple(readings), alive=frozenset({device.id}), refused=tuple(refused))

    def _values(
        self, device: Device, body: dict[str, Any], at: float, where: str
    ) -> tuple[list[Reading], list[ProtocolError]]:
        readings: dict[str, Reading] = {}
        refused: list[ProtocolError] = []
        for metric, raw, unit in _found(device, body):
            try:
                readings.setdefault(metric, reading(device.id, metric, at, raw, unit, where))
            except ProtocolError as error:
                refused.append(error)
        pressed = [p for action in _actions(body) if (p := press(device, action, at)) is not None]
        return [*readings.values(), *pressed], refused


def _found(device: Device, body: dict[str, Any]) -> Iterable[tuple[str, object, str | None]]:
    """(metric, raw value, unit) of everything known in a message."""
    scale = str(body.get("TempUnit", "C"))
    for key, value in body.items():
        if isinstance(value, dict):
            for name, raw in value.items():
                metric = METRICS.get(name.lower())
                if metric == "temperature":
                    yield ("body_temperature" if device.role is DeviceRole.THERMOMETER else metric), raw, scale
                elif metric is not None and raw is not None:
                    yield metric, raw, None
            if key == "Wifi" and "Signal" in value:
                yield "rssi", value["Signal"], "dBm"
            if key.startswith("Switch") and "Action" in value and device.role in SWITCH_MEANS:
                yield SWITCH_MEANS[device.role], value["Action"], None
        elif key.startswith("Switch") and isinstance(value, str) and device.role in SWITCH_MEANS:
            yield SWITCH_MEANS[device.role], value, None


def _actions(body: dict[str, Any]) -> list[str]:
    return [
        value["Action"].lower()
        for key, value in body.items()
        if key.startswith("Button") and isinstance(value, dict) and isinstance(value.get("Action"), str)
    ]


def switch(name: str, on: bool, relay: str = "POWER") -> Publication:
    """Turn a relay, lamp or siren on or off."""
    return Publication(f"cmnd/{name}/{relay}", b"ON" if on else b"OFF")
