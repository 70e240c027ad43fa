"""A whole home for detectors: two wearables, a phone and thirty sensors, and what they say second by second."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import numpy as np

from edge.detectors.facade import Detectors, Listed, build
from edge.detectors.routine import RoutineProfile
from edge.hazard_config import ClimateSection, StoveSection, hazard_detectors
from edge.location_config import FenceSection, LocationSection
from edge.readings import BodyPosition, Device, DeviceRole, Reading, SignalFrame
from edge.unusual_config import SeriesSection, UnusualSection

RATE_HZ = 50
LAT, LON = 22.5431, 114.0579
_ROOMS = ("bedroom", "bathroom", "kitchen", "living_room", "hall")

DEVICES: tuple[Device, ...] = (
    Device("waist-1", DeviceRole.WEARABLE, None, BodyPosition.WAIST),
    Device("wrist-1", DeviceRole.WEARABLE, None, BodyPosition.WRIST),
    Device("phone-1", DeviceRole.GPS, None),
    *(Device(f"pir-{room.replace('_', '-')}", DeviceRole.MOTION, room) for room in _ROOMS),
    *(Device(f"radar-{room.replace('_', '-')}", DeviceRole.PRESENCE, room) for room in _ROOMS),
    *(Device(f"air-{room.replace('_', '-')}", DeviceRole.CLIMATE, room) for room in _ROOMS),
    *(Device(f"smoke-{room.replace('_', '-')}", DeviceRole.SMOKE, room) for room in _ROOMS),
    Device("front-door", DeviceRole.CONTACT, "entrance"),
    *(Device(f"cupboard-{i}", DeviceRole.CONTACT, "kitchen") for i in range(3)),
    Device("bed-1", DeviceRole.BED, "bedroom"),
    Device("seat-1", DeviceRole.SEAT, "living_room"),
    Device("oxi-1", DeviceRole.OXIMETER, "bedroom"),
    Device("stove-1", DeviceRole.STOVE, "kitchen"),
    Device("sos-1", DeviceRole.SOS, "bathroom"),
    Device("flood-1", DeviceRole.FLOOD, "bathroom"),
)


def detectors() -> Detectors:
    """All detectors that the gateway hosts in this home, with a fence of 300 m and five series watched."""
    zone = "Asia/Shanghai"
    fence = FenceSection(name="home", lat=LAT, lon=LON, radius_m=300.0)
    location = LocationSection(fences=(fence,)).detectors(DEVICES, zone)
    series = tuple(SeriesSection(device=d.id, metric="humidity") for d in DEVICES if d.role is DeviceRole.CLIMATE)
    unusual = UnusualSection(series=series).detectors(DEVICES)
    more: list[Listed] = [*location, *hazard_detectors(DEVICES, ClimateSection(), StoveSection()), *unusual]
    return build(DEVICES, routine=RoutineProfile(ZoneInfo(zone)), more=more)


def second(at: float, i: int, rng: random.Random, noise: np.random.Generator) -> Iterator[Reading | SignalFrame]:
    """What a quiet home says in its second `i`, at `at`: signal of a resting wearer, vital signs, now and then more."""
    for worn in ("waist-1", "wrist-1"):
        samples = noise.normal(0.0, 0.02, (RATE_HZ, 6)).astype(np.float32)
        samples[:, 1] += 1.0
        channels = ("ax", "ay", "az", "gx", "gy", "gz")
        yield SignalFrame(worn, i, at, float(RATE_HZ), channels, samples, 8.0)
    yield Reading("oxi-1", "heart_rate", at, 68.0 + 4 * math.sin(i / 60) + rng.gauss(0, 1))
    yield Reading("oxi-1", "spo2", at, 97.0 + round(rng.random()))
    if i % 5 == 0:
        yield Reading("phone-1", "lat", at, LAT + rng.gauss(0, 5e-5))
        yield Reading("phone-1", "lon", at, LON + rng.gauss(0, 5e-5))
        yield Reading("phone-1", "accuracy", at, 12.0)
    for n, device in enumerate(DEVICES[3:]):
        if (i + n) % 60 == 0:
            yield from _slow(device, at, rng)


def _slow(device: Device, at: float, rng: random.Random) -> Iterator[Reading]:
    if device.role in (DeviceRole.MOTION, DeviceRole.PRESENCE):
        yield Reading(device.id, "motion" if device.role is DeviceRole.MOTION else "presence", at, rng.random() < 0.3)
    elif device.role is DeviceRole.CLIMATE:
        yield Reading(device.id, "temperature", at, 24.0 + rng.gauss(0, 0.1))
        yield Reading(device.id, "humidity", at, 55.0 + rng.gauss(0, 1))
    elif device.role is DeviceRole.SMOKE:
        yield Reading(device.id, "smoke", at, False)
    elif device.role in (DeviceRole.BED, DeviceRole.SEAT):
        yield Reading(
            device.id, "bed_occupied" if device.role is DeviceRole.BED else "presence", at, rng.random() < 0.5
        )
    elif device.role is DeviceRole.STOVE:
        yield Reading(device.id, "power", at, 2.0)
    elif device.role is DeviceRole.FLOOD:
        yield Reading(device.id, "flood", at, False)
