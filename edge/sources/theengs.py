"""Theengs Gateway and OpenMQTTGateway: Bluetooth devices decoded by receivers.

Their topics are `{base}/{receiver}/BTtoMQTT/{MAC or iBeacon UUID}` and, for where a beacon is,
`{base}/presence/{receiver}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from edge.readings import Device, DeviceRole, Reading
from edge.sources import theengs_words as words
from edge.sources.base import NOTHING, Heard, Message, Seen
from edge.sources.presence import BeaconRoom
from edge.sources.roles import by_role
from edge.sources.roster import Roster, press
from edge.sources.values import decode_object, reading, to_registry
from protocols.errors import ProtocolError

WEIGHED_ONCE_S: Final = 60.0
"""A scale advertises its last result again and again: the same value counts once in this time."""
_ADVERTISED = frozenset({"weight"})
_RSSI_EVERY_S = 60.0
_SAME_PRESS_S: Final = 60.0
"""A press is advertised many times and heard by several receivers, with the same packet number."""
_SAME_PRESS_UNNUMBERED_S: Final = 2.0


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
        self._presses: dict[tuple[str, str], tuple[object, float]] = {}
        self.counts = self._roster.counts

    def filters(self) -> frozenset[str]:
        """What every receiver hears."""
        return frozenset({f"{self._base}/+/BTtoMQTT/+", f"{self._base}/presence/+"})

    def wants(self, topic: str) -> bool:
        """Both kinds of topics."""
        return self._parts(topic) is not None

    def _parts(self, topic: str) -> tuple[str, str] | None:
        """(receiver, address on the air or "" where the message tells it); None: not of this dialect."""
        parts = topic.split("/")
        if len(parts) >= 4 and "/".join(parts[:-3]) == self._base and parts[-2] == "BTtoMQTT":
            return parts[-3], parts[-1]
        if len(parts) >= 3 and "/".join(parts[:-2]) == self._base and parts[-2] == "presence":
            return parts[-1], ""
        return None

    def seen(self) -> Iterable[Seen]:
        """Devices heard on the air, as far as their number is bounded."""
        return self._roster.seen()

    def read(self, message: Message) -> Heard:
        """Everything one advertisement says; raises ProtocolError."""
        receiver, address = self._parts(message.topic) or ("", "")
        body = decode_object(message.payload, f"{self.name}.{receiver[:32]}")
        mac = _plain(address or str(body.get("id", "")))
        where = f"{self.name}.{mac}"
        device = self._roster.find(mac, _colons(mac), *_beacon(body))
        offers = frozenset(m for k in body if (m := words.METRICS.get(k)))
        name, model = str(body.get("name", ""))[:64], str(body.get("model_id", ""))[:64]
        self._roster.note(Seen(self.name, mac, name, model, offers, id=device.id if device else None))
        if device is None:
            return NOTHING
        if message.retained:
            self.counts["retained"] += 1
            return NOTHING
        if "encr" in body:
            self.counts["encrypted"] += 1
        readings, refused = self._values(device, body, message.arrival, where)
        return Heard(
            (
                *self._room(device, receiver, body, message.arrival, where),
                *readings,
                *self._pressed(device, body, message.arrival),
            ),
            alive=frozenset({device.id}),
            refused=tuple(refused),
        )

    def _values(
        self, device: Device, body: dict[str, Any], at: float, where: str
    ) -> tuple[list[Reading], list[ProtocolError]]:
        readings: dict[str, Reading] = {}
        refused: list[ProtocolError] = []
        for key, raw in body.items():
            metric = words.METRICS.get(key)
            if metric is None or raw is None or not _means_it(key, device.role, body):
                continue
            raw = words.CONTACT.get(raw, raw) if key == "contact" and isinstance(raw, str) else raw
            unit = str(body["unit"]) if metric == "weight" else None
            try:
                one = by_role(reading(device.id, metric, at, raw, unit, where), device.role)
            except ProtocolError as error:
                refused.append(error)
                continue
            if one is not None and self._is_new(one):
                readings.setdefault(one.metric, one)
        return list(readings.values()), refused

    def _pressed(self, device: Device, body: dict[str, Any], at: float) -> list[Reading]:
        """Presses of a Bluetooth button, each once however often it is heard."""
        found: list[Reading] = []
        for key in ("button", "button1", "button2", "button3", "button4"):
            code = body.get(key)
            action = words.PRESSES.get(code) if isinstance(code, int) and not isinstance(code, bool) else None
            if action is None:
                continue
            packet = body.get("packet")
            last, self._presses[device.id, key] = self._presses.get((device.id, key)), (packet, at)
            within = _SAME_PRESS_UNNUMBERED_S if packet is None else _SAME_PRESS_S
            if last is not None and last[0] == packet and abs(at - last[1]) < within:
                self.counts["repeated"] += 1
                continue
            one = press(device, f"{key[6:]}_{action}" if key[6:] else action, at)
            found += [one] if one is not None else []
        return found

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
        try:
            strength = to_registry("rssi", body["rssi"], None, where)
        except ProtocolError:
            return []  # refused where it is read as a value
        moved = self._rooms.setdefault(device.id, BeaconRoom()).heard(room, float(strength), at)
        return [Reading(device.id, "room", at, moved)] if moved is not None else []


def _means_it(key: str, role: DeviceRole, body: dict[str, Any]) -> bool:
    """Whether a property means what its name says, of this device."""
    if role not in words.ONLY_FOR.get(key, (role,)) or key in words.NOT_OF.get(str(body.get("type")), ()):
        return False
    return key != "weight" or ("unit" in body and body.get("weighing_mode", "person") == "person")


def _plain(address: str) -> str:
    """A MAC address or UUID without punctuation."""
    return address.replace(":", "").replace("-", "").upper()[:32]


def _colons(mac: str) -> str:
    return ":".join(mac[i : i + 2] for i in range(0, len(mac), 2))


def _beacon(body: dict[str, Any]) -> tuple[str, ...]:
    """Names of an iBeacon: its UUID, and with the numbers that tell it from others with the same UUID."""
    raw = _plain(str(body.get("uuid", "")))
    if len(raw) != 32:
        return ()
    dashed = "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))
    numbers = f"-{body.get('major', '')}-{body.get('minor', '')}"
    return dashed + numbers, raw + numbers, dashed, raw
