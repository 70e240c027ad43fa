"""Home Assistant MQTT discovery: any device that announces itself there, those of ESPHome among them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from string import hexdigits
from typing import Any, Final

from edge.readings import Device, Reading
from edge.sources import homeassistant_words as words
from edge.sources.base import NOTHING, Heard, Message, Seen
from edge.sources.discovery import Entity, Mode, parse
from edge.sources.roles import by_role
from edge.sources.roster import Roster, is_end, press
from edge.sources.templates import Templates
from edge.sources.values import decode_object, reading, text
from protocols.errors import ProtocolError, Reason

MAX_ENTITIES: Final = 512
"""Entities of configured devices; what is beyond is refused."""
EXPIRE_INTERVALS: Final = 3.0
"""Supervision waits this many intervals, so that a device counts as silent when its `expire_after` is over."""
SAME_PRESS_S: Final = 2.0
"""A button may be announced as event, as trigger and as both: a press within this time by another name is the same."""

_EVENTS = frozenset({"sos", "fall_detected"})
_DEFAULT_FLAGS = ("ON", "OFF")


@dataclass(frozen=True, slots=True)
class _Known:
    device: Device
    entity: Entity


class HomeAssistantSource:
    """Entities of configured devices, with the topics they use subscribed as they are announced."""

    name = "homeassistant"

    def __init__(self, devices: Iterable[Device], prefix: str = "homeassistant") -> None:
        self._prefix = prefix
        self._roster = Roster(self.name, devices)
        self._known: dict[str, _Known] = {}
        self._by_topic: dict[str, list[_Known]] = {}
        self._offered: dict[str, set[str]] = {}
        self._last: dict[str, object] = {}
        self._there: dict[str, dict[int, bool]] = {}
        self._off_at: dict[str, tuple[float, Reading]] = {}
        self._presses: dict[str, tuple[str, object, float]] = {}
        self._filters = frozenset({f"{prefix}/#"})
        self._templates = Templates()
        self.counts = self._roster.counts

    def filters(self) -> frozenset[str]:
        """Announcements, and the topics of configured devices."""
        return self._filters

    def wants(self, topic: str) -> bool:
        """Announcements, and topics that were announced."""
        return topic in self._by_topic or topic.startswith(self._prefix + "/")

    def seen(self) -> Iterable[Seen]:
        """Devices that were announced."""
        return self._roster.seen()

    def read(self, message: Message) -> Heard:
        """Everything one message says of configured devices; raises ProtocolError."""
        if message.topic not in self._by_topic:
            if message.topic.endswith("/config"):
                self._announced(message)
            return NOTHING
        found = [self._one(known, message) for known in self._by_topic[message.topic]]
        online: dict[str, bool] = {}
        for device, there in (pair for heard in found for pair in heard.online):
            online[device] = online.get(device, False) or there
        return Heard(
            tuple(r for heard in found for r in heard.readings),
            alive=frozenset[str]().union(*(heard.alive for heard in found)),
            online=tuple(online.items()),
            refused=tuple(e for heard in found for e in heard.refused),
        )

    def due(self, now: float) -> list[Reading]:
        """Flags that go off by themselves: their devices send only `on` and announce an `off_delay`."""
        over = [key for key, (at, one) in self._off_at.items() if now >= at or now < one.at]
        return [Reading(one.device, one.metric, now, one.value) for _, one in map(self._off_at.pop, over)]

    def _announced(self, message: Message) -> None:
        key = message.topic[len(self._prefix) + 1 : -len("/config")]
        for gone in [k for k in self._known if k == key or k.startswith(key + "/")]:
            for table in (self._known, self._there, self._off_at):
                table.pop(gone, None)
        try:
            for entity in parse(self._prefix, message.topic, message.payload) if message.payload else ():
                self._add(entity)
        finally:
            self._by_topic, self._offered = {}, {}
            for known in self._known.values():
                self._offered.setdefault(known.device.id, set()).add(known.entity.metric or "")
                for topic in _topics(known.entity):
                    self._by_topic.setdefault(topic, []).append(known)
            self._filters = frozenset({f"{self._prefix}/#", *self._by_topic})

    def _add(self, entity: Entity) -> None:
        device = self._roster.find(*(form for a in entity.addresses for form in _forms(a)))
        if device is not None:
            if len(self._known) >= MAX_ENTITIES:
                raise ProtocolError(Reason.OVERSIZED, "discovery", f"more than {MAX_ENTITIES} entities")
            self._known[entity.key] = _Known(device, entity)
        same = [k.entity for k in self._known.values() if k.device is device] or [entity]
        expire = max((e.expire_after_s or 0.0 for e in same), default=0.0)
        self._roster.note(
            Seen(
                self.name,
                entity.addresses[0],
                entity.name,
                entity.model,
                frozenset({entity.metric} if entity.metric else ()),
                expire / EXPIRE_INTERVALS or None,
                device.id if device else None,
            )
        )

    def _one(self, known: _Known, message: Message) -> Heard:
        """One entity's part of a message; what is wrong with it costs the others nothing."""
        device, entity = known.device, known.entity
        where = f"{self.name}.{device.id}"
        online: tuple[tuple[str, bool], ...] = ()
        readings: list[Reading] = []
        refused: list[ProtocolError] = []
        told = message.topic in (entity.state_topic, entity.attributes_topic)
        try:
            there = self._availability(entity, message, where)
            online = ((device.id, there),) if there is not None else ()
            if message.topic == entity.state_topic:
                readings += self._state(known, message, where)
            if message.topic == entity.attributes_topic and entity.component == "device_tracker":
                readings += self._attributes(known, message, where, refused)
        except ProtocolError as error:
            refused.append(error)
        if message.retained and readings:
            self.counts["retained"] += 1
            readings = []
        alive = frozenset({device.id}) if told and not message.retained and (readings or not refused) else frozenset()
        return Heard(tuple(readings), alive=alive, online=online, refused=tuple(refused))

    def _availability(self, entity: Entity, message: Message, where: str) -> bool | None:
        """Whether an entity is there by all that its topics said so far; None: it cannot be told, or nothing is new."""
        places = [(i, a) for i, a in enumerate(entity.availability) if a.topic == message.topic]
        there = self._there.setdefault(entity.key, {}) if places else {}
        latest: bool | None = None
        for i, place in places:
            word = self._word(place.template, message, where)
            if word in (place.available, place.not_available):
                latest = there[i] = word == place.available
        if latest is None or entity.mode is Mode.LATEST:
            return latest
        decisive = entity.mode is Mode.ANY
        if decisive in there.values():
            return decisive
        return not decisive if len(there) == len(entity.availability) else None

    def _word(self, template: str | None, message: Message, where: str) -> str:
        word = text(message.payload, where)
        return self._templates.render(template, word, where) if template else word

    def _state(self, known: _Known, message: Message, where: str) -> list[Reading]:
        entity = known.entity
        if entity.component == "event":
            return self._pressed(known, self._event(entity, message, where), message)
        if entity.component == "device_automation":
            word = self._word(entity.template, message, where)
            fires = not entity.on or word == entity.on
            ends = any(a and is_end(a) for a in (entity.on, entity.action))
            return self._pressed(known, (entity.on, entity.action), message) if fires and not ends else []
        if entity.metric is None:
            return []
        word = self._word(entity.template, message, where)
        if word in words.NOTHING_SAID or (entity.component == "device_tracker" and word == entity.reset):
            return []
        one = self._value(known, word, message.arrival, where)
        if one is None:
            return []
        before, self._last[entity.key] = self._last.get(entity.key), one.value
        if one.metric in _EVENTS and before == one.value:
            self.counts["repeated"] += 1
            return []
        if entity.off_delay_s is not None and not message.retained:
            self._off_at.pop(entity.key, None)
            if word == entity.on:
                off = Reading(one.device, one.metric, one.at, not one.value)
                self._off_at[entity.key] = (one.at + entity.off_delay_s, off)
        return [one]

    def _value(self, known: _Known, word: str, at: float, where: str) -> Reading | None:
        """The reading that a state is; raises ProtocolError."""
        device, entity = known.device, known.entity
        raw: Any = word
        if entity.component == "device_tracker":
            raw = word == entity.on  # any other word is the name of a zone that is not the home
        elif word in (entity.on, entity.off) and entity.component == "binary_sensor":
            raw = word == entity.on
        elif entity.component == "binary_sensor" and (entity.on, entity.off) != _DEFAULT_FLAGS:
            raise ProtocolError(Reason.WRONG_TYPE, f"{where}.{entity.metric}", f"got {word!r:.40}")
        one = reading(device.id, str(entity.metric), at, raw, entity.unit, where)
        if one.metric in words.ZERO_IS_NOTHING and one.value == 0:
            return None
        return by_role(one, device.role, self._offered[device.id])

    def _event(self, entity: Entity, message: Message, where: str) -> tuple[str, ...]:
        """The type of an event; empty: the message is none."""
        if entity.template and entity.event_field is None:
            rendered = self._word(entity.template, message, where)
            body = decode_object(rendered.encode(), where) if rendered else {}
        else:
            body = decode_object(message.payload, where)
        event = body.get(entity.event_field or "event_type")
        if not isinstance(event, str) or not event:
            return ()
        if entity.event_field is None and entity.event_types and event not in entity.event_types:
            self.counts["unknown_event"] += 1
            return ()
        return (event[:64],)

    def _pressed(self, known: _Known, actions: tuple[str, ...], message: Message) -> list[Reading]:
        device, at = known.device, message.arrival
        one = next((p for a in actions if a and (p := press(device, a, at)) is not None), None)
        if one is None or message.retained:
            return [one] if one is not None else []
        key = (known.entity.key, one.value, at)
        last, self._presses[device.id] = self._presses.get(device.id), key
        if last is not None and last[0] != key[0] and last[1] == key[1] and abs(at - last[2]) < SAME_PRESS_S:
            self.counts["repeated"] += 1
            return []
        return [one]

    def _attributes(
        self, known: _Known, message: Message, where: str, refused: list[ProtocolError]
    ) -> Iterable[Reading]:
        """Where a tracker is; half a position is none."""
        template = known.entity.attributes_template
        payload = self._word(template, message, where).encode() if template else message.payload
        body = decode_object(payload, where) if payload else {}
        found: dict[str, Reading] = {}
        for key, metric in words.ATTRIBUTES.items():
            if body.get(key) is None:
                continue
            try:
                found[metric] = reading(known.device.id, metric, message.arrival, body[key], None, where)
            except ProtocolError as error:
                refused.append(error)
        whole = "lat" in found and "lon" in found
        return [r for metric, r in found.items() if whole or metric == "battery"]


def _forms(address: str) -> tuple[str, ...]:
    """An identifier, and if it is a MAC address, its other way to be written."""
    plain = address.replace(":", "")
    if len(plain) != 12 or not all(c in hexdigits for c in plain):
        return (address,)
    return address, plain, ":".join(plain[i : i + 2] for i in range(0, 12, 2))


def _topics(entity: Entity) -> set[str]:
    every = {entity.state_topic, entity.attributes_topic, *(a.topic for a in entity.availability)}
    return {topic for topic in every if topic}
