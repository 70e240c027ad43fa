"""Events of the sensors of a home (start, end, sensor, optionally type and place) as readings of configured devices."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

from edge.detectors.places import BED_WORDS, SEAT_WORDS, normal, says
from edge.evaluate.report import FormatError
from edge.readings import Device, DeviceRole, Reading

LONGEST_EVENT_S = 30 * 86_400.0
_CONTACT_WORDS = ("magnetic", "contact", "reed", "door", "window", "cabinet", "cupboard", "drawer", "fridge", "freezer",
                  "magnet", "kontakt", "tur", "tuer", "fenster", "puerta", "ventana", "porte", "fenetre", "porta",
                  "finestra", "deur", "dorr", "门", "窗", "柜", "ドア", "扉", "문", "дверь")  # fmt: skip
_PRESSURE_WORDS = ("pressure", "mat", "occupancy", "druck", "presion", "pression", "压力", "圧力", "압력")
_MOTION_WORDS = (
    "pir",
    "motion",
    "flush",
    "electric",
    "infrared",
    "bewegung",
    "movimiento",
    "mouvement",
    "红外",
    "移动",
)
_METRICS = {DeviceRole.BED: "bed_occupied", DeviceRole.SEAT: "presence", DeviceRole.CONTACT: "contact_open"}


@dataclass(frozen=True, slots=True)
class Home:
    """Its devices, and the readings in time order (each event's start as true, its end as false)."""

    devices: tuple[Device, ...]
    readings: tuple[Reading, ...]


def load(path: Path, zone: tzinfo) -> Home:
    """Read a file of events; times are local. Raises FormatError naming the line, OSError."""
    devices: dict[str, Device] = {}
    rows: list[tuple[float, bool, str]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = {"start", "end", "sensor"} - set(reader.fieldnames or ())
            if missing:
                raise FormatError(f"{path}: header: no column {', '.join(sorted(missing))}")
            for number, row in enumerate(reader, start=2):
                _take(row, f"{path}:{number}", zone, devices, rows)
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path}: {error}") from None
    if not rows:
        raise FormatError(f"{path}: no events")
    rows.sort()
    readings = tuple(Reading(d, _METRICS.get(devices[d].role, "motion"), at, on) for at, on, d in rows)
    return Home(tuple(devices.values()), readings)


def role_of(sensor: str, kind: str, place: str) -> DeviceRole:
    """What kind of sensor the texts describe; what says nothing is taken for motion, which ends by itself."""
    named, typed, placed = normal(sensor), normal(kind), normal(place)
    pressure = says(typed, _PRESSURE_WORDS) or (not typed and says(named, _PRESSURE_WORDS))
    if pressure or not typed:
        if says(named, BED_WORDS) and not says(named, _CONTACT_WORDS):
            return DeviceRole.BED
        if says(named, SEAT_WORDS):
            return DeviceRole.SEAT
    if pressure:
        return DeviceRole.BED if says(placed, BED_WORDS) else DeviceRole.SEAT
    if typed:
        return DeviceRole.CONTACT if says(typed, _CONTACT_WORDS) else DeviceRole.MOTION
    if says(named, _MOTION_WORDS):
        return DeviceRole.MOTION
    return DeviceRole.CONTACT if says(named, _CONTACT_WORDS) or says(placed, _CONTACT_WORDS) else DeviceRole.MOTION


def _take(
    row: dict[str, str], where: str, zone: tzinfo, devices: dict[str, Device], rows: list[tuple[float, bool, str]]
) -> None:
    start, end = (_time(row.get(name), f"{where}: {name}", zone) for name in ("start", "end"))
    if not 0 <= end - start <= LONGEST_EVENT_S:
        raise FormatError(f"{where}: an event of {end - start:.0f} s (0 to {LONGEST_EVENT_S:.0f} can be)")
    sensor, kind, place = ((row.get(name) or "").strip() for name in ("sensor", "type", "place"))
    name = " ".join(part for part in (sensor, place if place != sensor else "") if part) or "unnamed"
    devices.setdefault(name, Device(name, role_of(sensor, kind, place), place or None))
    rows += [(start, True, name), (end, False, name)]


def _time(text: str | None, where: str, zone: tzinfo) -> float:
    try:
        time = datetime.fromisoformat((text or "").strip())
    except ValueError:
        raise FormatError(f"{where}: {text!r:.40} is no date and time") from None
    return (time if time.tzinfo else time.replace(tzinfo=zone)).timestamp()
