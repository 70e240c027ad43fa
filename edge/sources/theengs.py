"""Theengs Gateway and OpenMQTTGateway: Bluetooth devices decoded by receivers (`{base}/{receiver}/BTtoMQTT/{MAC}`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from edge.readings import Device, DeviceRole, Reading
from edge.sources.base import NOTHING, Heard, Message, Seen
from edge.sources.presence import BeaconRoom
from edge.sources.roster import Roster
from edge.sources.values import decode_object, reading, to_registry
from protocols.errors import ProtocolError

METRICS: Final = {
    "tempc": "temperature",
    "hum": "humidity",
    "batt": "battery",
    "lux": "illuminance",
    "bpm": "heart_rate",
    "hr": "heart_rate",
    "spo2": "spo2",
    "sys": "systolic",
    "dia": "diastolic",
    "systolic": "systolic",
    "diastolic": "diastolic",
    "weight": "weight",
    "steps": "steps",
    "open": "contact_open",
    "contact": "contact_open",
    "motion": "motion",
    "pres": "",
    "water": "flood",
    "leak": "flood",
    "smoke": "smoke",
    "lowbatt": "battery_low",
    "rssi": "rssi",
}
"""Property → metric; "" is a name that must not be taken for something else (`pres` is air pressure)."""

WEIGHED_ONCE_S: Final = 60.0
"""A scale advertises its last result again and again: the same value counts once in this time."""
_ADVERTISED = frozenset({"weight", "systolic", "diastolic"})
_RSSI_EVERY_S = 60.0


class TheengsSource:
    """Values by device; beacons by room. `receivers` says in which room each receiver stands."""

    name = "theengs"

    def __init__(
        self, devices: Iterable[Device], base: str = "home", receivers: Mapping[str, str] | None = None
    ) -> None:
        self._base = base
        self._receivers = dict(receivers or {})
        self._roster = Roster(self.name, devices)
        self._rooms: dict[str, BeaconRoom] = {}
        self._last: dict[tuple[str, str], tuple[object, float]] = {}
        self.counts = self._roster.counts

    def filters(self) -> frozenset[str]:
        """What every receiver hears."""
        return frozenset({f"{self._base}/+/BTtoMQTT/+"})

    def wants(self, topic: str) -> bool:
        """{base}/{receiver}/BTtoMQTT/{MAC}."""
        parts = topic.split("/")
        return len(parts) >= 4 and "/".join(parts[:-3]) == self._base and parts[-2] == "BTtoMQTT"

    def seen(self) -> Iterable[Seen]:
        """Devices heard on the air, as far as their number is bounded."""
        return self._roster.seen()

    def read(self, message: Message) -> Heard:
        """Everything one advertisement says; raises ProtocolError."""
        parts = message.topic.split("/")
        receiver, mac = parts[-3], parts[-1].replace(":", "").upper()[:32]
        where = f"{self.name}.{mac}"
        body = decode_object(message.payload, where)
        device = self._roster.find(mac, _colons(mac))
        offers = frozenset(m for k in body if (m := METRICS.get(k)))
        name, model = str(body.get("name", ""))[:64], str(body.get("model_id", ""))[:64]
        self._roster.note(Seen(self.name, mac, name, model, offers, id=device.id if device else None))
        if device is None:
            return NOTHING
        if message.retained:
            self.counts["retained"] += 1
            return NOTHING
        readings, refused = self._values(device, body, message.arrival, where)
        return Heard(
            (*self._room(device, receiver, body, message.arrival, where), *readings),
            alive=frozenset({device.id}),
            refused=tuple(refused),
        )

    def _values(
        self, device: Device, body: dict[str, Any], at: float, where: str
    ) -> tuple[list[Reading], list[ProtocolError]]:
        readings: dict[str, Reading] = {}
        refused: list[ProtocolError] = []
        for key, raw in body.items():
            metric = METRICS.get(key)
            if not metric or raw is None:
                continue
            if metric == "temperature" and device.role is DeviceRole.THERMOMETER:
                metric = "body_temperature"
            unit = str(body["unit"]) if metric == "weight" and isinstance(body.get("unit"), str) else None
            try:
                one = reading(device.id, metric, at, raw, unit, where)
            except ProtocolError as error:
                refused.append(error)
                continue
            if self._is_new(one):
                readings.setdefault(metric, one)
        return list(readings.values()), refused

    def _is_new(self, one: Reading) -> bool:
        """Advertisements repeat: a result that is not measured anew, and radio strength, count once a minute."""
        if one.metric not in _ADVERTISED and one.metric != "rssi":
            return True
        last = self._last.get((one.device, one.metric))
        same = last is not None and (one.metric == "rssi" or last[0] == one.value)
        if (
            last is not None
            and same
            and abs(one.at - last[1]) < (_RSSI_EVERY_S if one.metric == "rssi" else WEIGHED_ONCE_S)
        ):
            self._last[one.device, one.metric] = (one.value, last[1] if one.metric == "rssi" else one.at)
            self.counts["repeated"] += 1
            return False
        self._last[one.device, one.metric] = (one.value, one.at)
        return True

    def _room(self, device: Device, receiver: str, body: dict[str, Any], at: float, where: str) -> list[Reading]:
        room = self._receivers.get(receiver)
        if device.role is not DeviceRole.BEACON or room is None or "rssi" not in body:
            return []
        strength = to_registry("rssi", body["rssi"], None, where)
        moved = self._rooms.setdefault(device.id, BeaconRoom()).heard(room, float(strength), at)
        return [Reading(device.id, "room", at, moved)] if moved is not None else []


def _colons(mac: str) -> str:
    return ":".join(mac[i : i + 2] for i in range(0, len(mac), 2))
