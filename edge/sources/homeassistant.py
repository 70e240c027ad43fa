"""Home Assistant MQTT discovery: any device that announces itself there, ESPHome's among them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from edge.readings import Device, DeviceRole, Reading
from edge.sources import homeassistant_words as words
from edge.sources.base import NOTHING, Heard, Message, Publication, Seen
from edge.sources.discovery import Entity, parse
from edge.sources.roster import Roster, press
from edge.sources.templates import Templates
from edge.sources.values import decode_object, reading, text
from protocols.errors import ProtocolError, Reason

MAX_ENTITIES: Final = 512
"""Entities of configured devices; what is beyond is refused."""

_EVENTS = frozenset({"sos", "fall_detected"})


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
        self._last: dict[str, object] = {}
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
        readings = tuple(r for heard in found for r in heard.readings)
        online = dict(pair for heard in found for pair in heard.online)
        alive = frozenset[str]().union(*(heard.alive for heard in found))
        return Heard(readings, (), alive, tuple(online.items()), tuple(e for h in found for e in h.refused))

    def _announced(self, message: Message) -> None:
        key = message.topic[len(self._prefix) + 1 : -len("/config")]
        self._known = {k: v for k, v in self._known.items() if k != key and not k.startswith(key + "/")}
        try:
            for entity in parse(self._prefix, message.topic, message.payload) if message.payload else ():
                self._add(entity)
        finally:
            self._by_topic = {}
            for known in self._known.values():
                for topic in _topics(known.entity):
                    self._by_topic.setdefault(topic, []).append(known)
            self._filters = frozenset({f"{self._prefix}/#", *self._by_topic})

    def _add(self, entity: Entity) -> None:
        device = self._roster.find(*entity.addresses)
        offers = frozenset({entity.metric} if entity.metric else ())
        address = entity.addresses[0]
        self._roster.note(
            Seen(
                self.name,
                address,
                entity.name,
                entity.model,
                offers,
                entity.expire_after_s,
                device.id if device else None,
            )
        )
        if device is None:
            return
        if len(self._known) >= MAX_ENTITIES:
            raise ProtocolError(Reason.OVERSIZED, "discovery", f"more than {MAX_ENTITIES} entities")
        self._known[entity.key] = _Known(device, entity)

    def _one(self, known: _Known, message: Message) -> Heard:
        """One entity's part of a message; what is wrong with it costs the others nothing."""
        device, entity = known.device, known.entity
        where = f"{self.name}.{device.id}"
        try:
            for place in entity.availability:
                if place.topic == message.topic:
                    word = self._word(place.template, message, where)
                    if word in (place.available, place.not_available):
                        return Heard(online=((device.id, word == place.available),))
                    return NOTHING
            alive = frozenset() if message.retained else frozenset({device.id})
            if message.topic == entity.attributes_topic and message.topic != entity.state_topic:
                return Heard(self._attributes(device, message, where), alive=alive)
            return Heard(tuple(self._state(known, message, where)), alive=alive)
        except ProtocolError as error:
            return Heard(refused=(error,))

    def _word(self, template: str | None, message: Message, where: str) -> str:
        word = text(message.payload, where)
        return self._templates.render(template, word, where) if template else word

    def _state(self, known: _Known, message: Message, where: str) -> list[Reading]:
        device, entity = known.device, known.entity
        if entity.component in words.COMMANDED:
            return []
        if entity.component == "event":
            event = decode_object(message.payload, where).get("event_type")
            pressed = press(device, str(event)[:64], message.arrival)
            return [pressed] if pressed and not message.retained else []
        if entity.metric is None:
            return []
        word = self._word(entity.template, message, where)
        if word in ("", "None", "unknown", "unavailable"):
            return []
        raw: Any = {entity.on: True, entity.off: False}.get(word, word) if entity.component != "sensor" else word
        metric = entity.metric
        if metric == "temperature" and device.role is DeviceRole.THERMOMETER:
            metric = "body_temperature"
        one = reading(device.id, metric, message.arrival, raw, entity.unit, where)
        before, self._last[entity.key] = self._last.get(entity.key), one.value
        if message.retained or (metric in _EVENTS and before == one.value):
            self.counts["retained" if message.retained else "repeated"] += 1
            return []
        return [one]

    def _attributes(self, device: Device, message: Message, where: str) -> tuple[Reading, ...]:
        body = decode_object(message.payload, where)
        if message.retained:
            self.counts["retained"] += 1
            return ()
        return tuple(
            reading(device.id, metric, message.arrival, body[key], None, where)
            for key, metric in words.ATTRIBUTES.items()
            if body.get(key) is not None
        )

    def switch(self, address: str, on: bool) -> Publication | None:
        """Turn a device's switch, light or siren on or off (a button is pressed by on); None: it has none."""
        for known in self._known.values():
            entity = known.entity
            if entity.command_topic and address in entity.addresses and entity.component in words.COMMANDED:
                return Publication(entity.command_topic, (entity.on if on else entity.off).encode())
        return None


def _topics(entity: Entity) -> set[str]:
    every = {entity.state_topic, entity.attributes_topic, *(a.topic for a in entity.availability)}
    return {topic for topic in every if topic}
