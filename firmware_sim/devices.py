"""The devices of a simulated home and what each of them sends, as SenML packs and waveform frames."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from firmware_sim.person import ROOMS, Person, Stay
from firmware_sim.signals import RATE_HZ, Activity, Body, Fault, Vitals
from protocols.topics import HomeUp, home_up
from protocols.waveform import WaveFrame, encode_wave

FULL_SCALE_G = 16.0
SCALE = FULL_SCALE_G / 32768
FRAME_S = 0.5
Message = tuple[str, bytes]
"""Topic and payload."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A device as the gateway's configuration names it."""

    id: str
    role: str
    room: str | None = None
    position: str | None = None
    interval_s: float | None = None


DEVICES: tuple[Spec, ...] = (
    Spec("wrist-1", "wearable", position="wrist", interval_s=30),
    Spec("oximeter-1", "oximeter", interval_s=60),
    Spec("cuff-1", "cuff"),
    Spec("thermometer-1", "thermometer", room="living_room", interval_s=120),
    *(Spec(f"pir-{room.replace('_', '-')}", "motion", room=room, interval_s=300) for room in ROOMS),
    Spec("door-1", "contact", room="hall", interval_s=300),
    Spec("bed-1", "bed", room="bedroom", interval_s=300),
    Spec("sos-1", "sos", room="bathroom"),
    Spec("button-1", "button", room="bathroom"),
    Spec("smoke-1", "smoke", room="kitchen", interval_s=300),
    Spec("gps-1", "gps", interval_s=300),
    Spec("speaker-1", "speaker", room="bathroom"),
)


def gateway_devices() -> str:
    """The [[devices]] tables of a gateway's configuration."""
    lines = []
    for spec in DEVICES:
        lines.append("[[devices]]")
        for name in ("id", "role", "room", "position"):
            value = getattr(spec, name)
            if value is not None:
                lines.append(f'{name} = "{value}"')
        if spec.interval_s is not None:
            lines.append(f"interval_s = {spec.interval_s}")
        lines.append("")
    return "\n".join(lines)


def pack(device: str, at: float, **values: float | bool | str | tuple[float, str]) -> Message:
    """A SenML pack of one device and time; a value with a unit is (value, unit)."""
    records = []
    for i, (name, value) in enumerate(values.items()):
        number, unit = value if isinstance(value, tuple) else (value, None)
        key = "vb" if isinstance(number, bool) else "vs" if isinstance(number, str) else "v"
        head = {"bn": f"{device}/", "bt": round(at, 3)} if i == 0 else {}
        records.append({**head, "n": name, **({"u": unit} if unit else {}), key: number})
    return home_up(device, HomeUp.SENML), json.dumps(records).encode()


class Wearable:
    """A 50 Hz wristband that sends half a second at a time."""

    def __init__(self, body: Body, device: str = "wrist-1") -> None:
        self.body = body
        self._device = device
        self._seq = 0

    def frame(self, start: float, activity: Activity) -> Message:
        """The frame that begins at `start`."""
        g = self.body.samples(int(FRAME_S * RATE_HZ), activity)
        raw = np.clip(np.round(g / SCALE), -32768, 32767).astype(np.int16)
        frame = WaveFrame(
            self._device, self._seq, start, float(RATE_HZ), SCALE, FULL_SCALE_G, 0.0, ("ax", "ay", "az"), raw
        )
        self._seq += 1
        return home_up(self._device, HomeUp.WAVE), encode_wave(frame)


class Sensors:
    """Everything else in the home; each `tick` a second apart gives what is due."""

    def __init__(self, person: Person, vitals: Vitals, rng: np.random.Generator, lat: float, lon: float) -> None:
        self._person = person
        self._vitals = vitals
        self._rng = rng
        self._lat, self._lon = lat, lon
        self._due: dict[str, float] = {}
        self._room: str | None = None
        self._in_bed: bool | None = None
        self._thermometer = Fault(rng, noise=0.1, drift_per_hour=0.02, dropout=0.02)
        self._began: float | None = None

    def _is_due(self, name: str, now: float, interval_s: float) -> bool:
        due = self._due.get(name)
        if due is not None and now < due:
            return False
        self._due[name] = now + interval_s * (1.0 if due is not None else float(self._rng.uniform(0.2, 1.0)))
        return due is not None or interval_s < 30

    def tick(self, now: float, stay: Stay) -> Iterator[Message]:
        """What the sensors send at `now` while the person is as `stay` says."""
        self._began = self._began if self._began is not None else now
        signs = self._vitals.read(stay.activity, distress=self._person.fallen)
        yield from self._rooms(now, stay)
        if stay.room != "outside" and self._is_due("oximeter", now, 5):
            values = {"heart_rate": (signs["heart_rate"], "beat/min"), "spo2": (signs["spo2"], "%")}
            yield pack("oximeter-1", now, **values, respiration_rate=(signs["respiration_rate"], "1/min"))
        if stay.room != "outside" and self._is_due("cuff", now, 60):
            systolic, diastolic = (signs["systolic"], "mm[Hg]"), (signs["diastolic"], "mm[Hg]")
            yield pack("cuff-1", now, systolic=systolic, diastolic=diastolic)
        if self._is_due("thermometer", now, 30):
            room = self._thermometer.apply(23.4, now - self._began)
            if room is not None:
                celsius = (round(room, 1), "Cel")
                yield pack("thermometer-1", now, temperature=celsius, humidity=(58.0, "%RH"))
        if self._is_due("body_temperature", now, 90):
            yield pack("wrist-1", now, body_temperature=(signs["body_temperature"], "Cel"), battery=(84.0, "%EL"))
        if self._is_due("smoke", now, 60):
            yield pack("smoke-1", now, smoke=False, battery=(91.0, "%EL"))
        if self._is_due("gps", now, 60):
            yield self._position(now, stay)

    def _rooms(self, now: float, stay: Stay) -> Iterator[Message]:
        moved = stay.room != self._room
        if moved:
            if self._room is not None and "outside" in (self._room, stay.room):
                yield pack("door-1", now, contact_open=True)
                yield pack("door-1", now + 0.2, contact_open=False)
            if self._room in ROOMS:
                yield pack(_pir(self._room), now, motion=False)
            self._room = stay.room
        moving = stay.activity in (Activity.WALKING, Activity.STANDING) and not self._person.fallen
        if stay.room in ROOMS and (moved or (moving and self._is_due("motion", now, 10))):
            yield pack(_pir(stay.room), now, motion=True)
        for room in ROOMS:
            if room != stay.room and self._is_due(f"quiet {room}", now, 60):
                yield pack(_pir(room), now, motion=False)
        in_bed = stay.room == "bedroom" and stay.activity is Activity.LYING
        if in_bed != self._in_bed or self._is_due("bed", now, 60):
            self._in_bed = in_bed
            yield pack("bed-1", now, bed_occupied=in_bed)
        if self._is_due("door", now, 60):
            yield pack("door-1", now, contact_open=False)

    def _position(self, now: float, stay: Stay) -> Message:
        away = 0.004 if stay.room == "outside" else 0.0
        off = self._rng.normal(0, 0.00008, 2)
        lat = (round(self._lat + away + float(off[0]), 6), "lat")
        lon = (round(self._lon + away + float(off[1]), 6), "lon")
        return pack("gps-1", now, lat=lat, lon=lon, accuracy=(12.0, "m"))


def _pir(room: str) -> str:
    return f"pir-{room.replace('_', '-')}"
