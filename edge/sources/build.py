"""The dialects a home needs, by its configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edge.readings import Device
from edge.sources.anju import AnjuSource
from edge.sources.base import Source
from edge.sources.dispatch import Sources
from edge.sources.homeassistant import HomeAssistantSource
from edge.sources.owntracks import OwnTracksSource
from edge.sources.tasmota import TasmotaSource
from edge.sources.tasmota_topics import DEFAULT
from edge.sources.theengs import TheengsSource
from edge.sources.zigbee2mqtt import Zigbee2MqttSource


@dataclass(frozen=True, slots=True)
class DialectNames:
    """Base topics, the FullTopics of Tasmota, and the room of each Bluetooth receiver."""

    zigbee2mqtt: str = "zigbee2mqtt"
    homeassistant: str = "homeassistant"
    theengs: str = "home"
    owntracks: str = "owntracks"
    tasmota: tuple[str, ...] = (DEFAULT,)
    receivers: Mapping[str, str] = field(default_factory=dict)


def build_sources(devices: Iterable[Device], names: DialectNames | None = None, *, every: bool = False) -> Sources:
    """Our own dialect, and those that a device is configured for (`every`: all, to look for devices)."""
    names, devices = names or DialectNames(), tuple(devices)
    others: list[Source] = [
        Zigbee2MqttSource(devices, names.zigbee2mqtt),
        HomeAssistantSource(devices, names.homeassistant),
        TasmotaSource(devices, names.tasmota),
        TheengsSource(devices, names.theengs, names.receivers),
        OwnTracksSource(devices, names.owntracks),
    ]
    used = {d.source for d in devices}
    return Sources([AnjuSource(devices), *(s for s in others if every or s.name in used)])
