"""Zigbee2MQTT: devices of a Zigbee network behind one bridge (`{base}/{friendly name}`, `{base}/bridge/…`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from edge.readings import Device, DeviceRole, Reading
from edge.sources import zigbee2mqtt_words as words
from edge.sources.base import NOTHING, Heard, Message, Seen
from edge.sources.roles import by_role
from edge.sources.roster import Roster, press
from edge.sources.timing import TimeLimits, check_time
from edge.sources.values import decode_json, decode_object, reading, text
from protocols.errors import ProtocolError, Reason

MAX_BRIDGE_BYTES: Final = 4 * 1024 * 1024
CACHE_SENT_S: Final = 15.0
"""After its start the bridge publishes cached states; for this long a state that changes nothing is one of those."""

_LIMITS = TimeLimits()

_ANY_BUTTON = Device("any", DeviceRole.BUTTON)


class Zigbee2MqttSource:
    """States, availability and the bridge's list of devices.

    The bridge repeats everything it has cached with every message. So only attributes that changed are taken; a
    message that changes nothing is a repeated report of measured values, but never a second fall or SOS, and with an
    unchanged `last_seen`, or just after the bridge started, no sign of life. `counts["repeated"]` has these.
    """

    name = "zigbee2mqtt"

    def __init__(self, devices: Iterable[Device], base: str = "zigbee2mqtt") -> None:
        self._base = base
        self._roster = Roster(self.name, devices)
        self._ieee: dict[str, str] = {}
        self._rests: set[str] = set()
        self._state: dict[str, dict[str, Any]] = {}
        self._started: float | None = None
        self.counts: Counter[str] = self._roster.counts

    def filters(self) -> frozenset[str]:
        """Everything below the base topic: friendly names may have several levels."""
        return frozenset({f"{self._base}/#"})

    def wants(self, topic: str) -> bool:
        """Whatever is below the base topic."""
        return topic.startswith(self._base + "/")

    def seen(self) -> Iterable[Seen]:
        """Devices of the bridge's list."""
        return self._roster.seen()

    def read(self, message: Message) -> Heard:
        """Everything one message says of configured devices; raises ProtocolError."""
        name = message.topic[len(self._base) + 1 :]
        if name == "bridge/devices":
            self._inventory(message.payload)
            return NOTHING
        if name == "bridge/state":
            if not message.retained and _state_word(message.payload, name) == "online":
                self._started = message.arrival
            return NOTHING
        if name.startswith("bridge/") or name.endswith(("/set", "/get")):
            return NOTHING
        named, _, channel = name.rpartition("/")
        if channel == "availability":
            device = self._device(named)
            online = _state_word(message.payload, name[:100]) == "online"
            return Heard(online=((device.id, online),)) if device else NOTHING
        device = self._device(name)
        return self._report(device, name, message) if device else NOTHING

    def _device(self, name: str) -> Device | None:
        return self._roster.find(name, self._ieee.get(name, ""))

    def _inventory(self, payload: bytes) -> None:
        devices = decode_json(payload, "bridge/devices", MAX_BRIDGE_BYTES)
        for entry in devices if isinstance(devices, list) else ():
            if not isinstance(entry, dict) or entry.get("type") == "Coordinator":
                continue
            ieee, name = str(entry.get("ieee_address"))[:64], str(entry.get("friendly_name"))[:128]
            definition = entry.get("definition")
            definition = definition if isinstance(definition, dict) else {}
            if len(self._ieee) < 512 or name in self._ieee:
                self._ieee[name] = ieee
            device = self._roster.find(name, ieee)
            exposes = definition.get("exposes")
            offers = _offers(exposes, 0)
            (self._rests.add if _off_is_rest(exposes) else self._rests.discard)(ieee)
            battery = entry.get("power_source") == "Battery"
            interval = words.BATTERY_INTERVAL_S if battery else words.MAINS_INTERVAL_S
            model = f"{definition.get('vendor', '')} {definition.get('model', '')}".strip()[:80]
            self._roster.note(Seen(self.name, ieee, name, model, offers, interval, device.id if device else None))

    def _report(self, device: Device, name: str, message: Message) -> Heard:
        where = f"{self.name}.{device.id}"
        state = decode_object(message.payload, where)
        known = self._state.get(device.id)
        self._state[device.id] = {k: v for k, v in list(state.items())[:64] if k != "action"}
        at, timed = self._time(state, message, where)
        if message.retained:
            return self._kept(device, state, at if timed else None, where)
        before = known or {}
        changed = {k for k, v in state.items() if k not in words.VOLATILE and before.get(k) != v}
        still = known is not None and not changed - {"action"} and not state.get("action")
        if still and self._is_cache(state, before, message.arrival):
            self.counts["repeated"] += 1
            return NOTHING
        take = changed if changed else {k for k in state if not _metrics({k: state[k]}) & words.ONLY_ON_CHANGE}
        readings, refused = self._readings(device, take, state, at, where)
        readings += self._pressed(device, name, state.get("action"), message.arrival)
        cached = known is None and self._just_started(message.arrival)
        if cached:
            self.counts["repeated"] += 1
            readings = [r for r in readings if r.value is True and r.metric in ("smoke", "gas", "co", "flood")]
        alive = frozenset() if cached else frozenset({device.id})
        return Heard(tuple(readings), alive=alive, refused=tuple(refused))

    def _kept(self, device: Device, state: dict[str, Any], at: float | None, where: str) -> Heard:
        """Of a retained message only measured values with a time of their own count, and never as a sign of life."""
        self.counts["retained"] += 1
        if at is None:
            return NOTHING
        readings, refused = self._readings(device, set(state), state, at, where)
        return Heard(tuple(r for r in readings if not isinstance(r.value, bool)), refused=tuple(refused))

    def _pressed(self, device: Device, name: str, action: object, at: float) -> list[Reading]:
        """The press that an action is; `off` of an emergency button is the end of one."""
        if not isinstance(action, str) or (action == "off" and self._ieee.get(name, name) in self._rests):
            return []
        pressed = press(device, action, at)
        return [pressed] if pressed else []

    def _just_started(self, now: float) -> bool:
        return self._started is not None and 0 <= now - self._started < CACHE_SENT_S

    def _is_cache(self, state: dict[str, Any], before: dict[str, Any], now: float) -> bool:
        same_time = "last_seen" in state and state["last_seen"] == before.get("last_seen")
        return same_time or self._just_started(now)

    def _time(self, state: dict[str, Any], message: Message, where: str) -> tuple[float, bool]:
        """When the radio heard it: `last_seen` in ISO 8601 or Unix milliseconds, else the time of arrival."""
        raw = state.get("last_seen")
        at: float | None = None
        if isinstance(raw, (int, float)) and not isinstance(raw, bool):
            at = float(raw) / 1000
        elif isinstance(raw, str):
            try:
                at = datetime.fromisoformat(raw[:40]).timestamp()
            except (ValueError, OverflowError):
                at = None
        if at is None or not message.clock_trusted:
            return message.arrival, False
        try:
            check_time(at, message.arrival, _LIMITS, f"{where}.last_seen")
        except ProtocolError:
            self.counts["retimed"] += 1
            return message.arrival, False
        return at, True

    def _readings(
        self, device: Device, take: set[str], state: dict[str, Any], at: float, where: str
    ) -> tuple[list[Reading], list[ProtocolError]]:
        readings: dict[str, Reading] = {}
        refused: list[ProtocolError] = []
        offered = _metrics(state)
        for key in (k for k in state if k in take and state[k] is not None):
            try:
                for one in self._values(device, key, state, at, where):
                    meant = by_role(one, device.role, offered)
                    if meant is not None:
                        readings.setdefault(meant.metric, meant)
            except ProtocolError as error:
                refused.append(error)
        return list(readings.values()), refused

    def _values(self, device: Device, key: str, state: dict[str, Any], at: float, where: str) -> list[Reading]:
        """What one attribute says, before the role has its word; raises ProtocolError."""
        raw, metric = state[key], words.METRICS.get(key)
        if key in words.STATES:
            if device.role in (DeviceRole.SOS, DeviceRole.BUTTON) and key == "action":
                return []
            found = [(m, table[raw]) for m, table in words.STATES[key].items() if _known(raw, table)]
            if not found and key in words.MUST_BE_KNOWN:
                raise ProtocolError(Reason.WRONG_TYPE, f"{where}.{key}", f"got {raw!r:.40}")
            return [Reading(device.id, m, at, value) for m, value in found]
        skip = (key in words.ONLY_FLAGS and not isinstance(raw, bool)) or (key in words.ZERO_IS_NOTHING and raw == 0)
        if metric is None or skip or (key == "illuminance" and "illuminance_lux" in state):
            return []
        one = reading(device.id, metric, at, raw, None, where)
        return [Reading(one.device, one.metric, one.at, not one.value) if key in words.INVERTED else one]


def _metrics(state: dict[str, Any]) -> frozenset[str]:
    """Metrics that a state says something of."""
    plain = {words.METRICS[k] for k in state if k in words.METRICS}
    told = {m for k in state if k in words.STATES for m, table in words.STATES[k].items() if _known(state[k], table)}
    return frozenset(plain | told)


def _known(raw: object, table: dict[str, bool]) -> bool:
    return isinstance(raw, str) and raw in table


def _off_is_rest(exposes: object) -> bool:
    """Whether `off` is not one of two buttons: the device has that action, but no `on`."""
    for one in exposes[:200] if isinstance(exposes, list) else ():
        if isinstance(one, dict) and one.get("property") == "action" and isinstance(one.get("values"), list):
            return "off" in one["values"] and "on" not in one["values"]
    return False


def _offers(exposes: object, depth: int) -> frozenset[str]:
    """Metrics of everything a device exposes; features may be nested, and a name means what its type says."""
    found: set[str] = set()
    for one in exposes[:200] if isinstance(exposes, list) and depth < 4 else ():
        if not isinstance(one, dict):
            continue
        name, values = str(one.get("property") or one.get("name")), one.get("values")
        if name in words.STATES:
            known = values if isinstance(values, list) else ()
            found |= {m for m, table in words.STATES[name].items() if any(_known(v, table) for v in known)}
        elif name in words.METRICS and (name not in words.ONLY_FLAGS or one.get("type") == "binary"):
            found.add(words.METRICS[name])
        if name == "action" and isinstance(values, list) and any(_calls_for_help(value) for value in values[:200]):
            found.add("button")
        found |= _offers(one.get("features"), depth + 1)
    return frozenset(found)


def _calls_for_help(action: object) -> bool:
    """Whether an action is an emergency button's; a wall switch has presses too and must not come to cancel alarms."""
    found = press(_ANY_BUTTON, action, 0.0) if isinstance(action, str) else None
    return found is not None and found.metric == "sos"


def _state_word(payload: bytes, where: str) -> str:
    """`online` or `offline`, as JSON or as the bare word older versions send."""
    word = text(payload, where)
    if word.startswith("{"):
        word = str(decode_object(payload, where).get("state"))
    return word
