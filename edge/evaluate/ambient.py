"""Events of the sensors of a home (start, end, sensor, optionally type and place) as readings of configured devices."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

from edge.detectors.places import BED_WORDS, SEAT_WORDS, normal, says
from edge.evaluate.report import FormatError
from edge.evaluate.rows import Row, moment, read_rows, text
from edge.readings import Device, DeviceRole, Reading

LONGEST_EVENT_S = 30 * 86_400.0
LONGEST_SILENCE_S = 366 * 86_400.0
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
_END, _START, _END_AT_ONCE = range(3)
"""What happens first at one moment: an event that lasted no time ends behind its start, any other makes way for the
next.
"""
_METRICS = {DeviceRole.BED: "bed_occupied", DeviceRole.SEAT: "presence", DeviceRole.CONTACT: "contact_open"}


@dataclass(frozen=True, slots=True)
class Home:
    """Its devices, and the readings in time order (each event's start as true, its end as false)."""

    devices: tuple[Device, ...]
    readings: tuple[Reading, ...]


def load(path: Path, zone: tzinfo) -> Home:
    """Read a file of events; times are local. Raises FormatError naming the line, OSError."""
    devices: dict[str, Device] = {}
    rows: list[tuple[float, int, str]] = []
    for line, row in read_rows(path, ("start", "end", "sensor")):
        _take(row, path, line, zone, devices, rows)
    rows.sort()
    for (before, _, _), (after, _, _) in itertools.pairwise(rows):
        if after - before > LONGEST_SILENCE_S:
            days = (after - before) / 86_400
            last = datetime.fromtimestamp(before, zone)
            raise FormatError(f"{path}: no event for {days:.0f} days after {last:%Y-%m-%d %H:%M}: a date must be wrong")
    readings = tuple(Reading(d, _METRICS.get(devices[d].role, "motion"), at, what == _START) for at, what, d in rows)
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
    row: Row, path: Path, line: int, zone: tzinfo, devices: dict[str, Device], rows: list[tuple[float, int, str]]
) -> None:
    start, end = (moment(path, line, name, row[name], zone) for name in ("start", "end"))
    if end < start:  # perhaps in the hour that a summer time's end repeats
        end = moment(path, line, "end", row["end"], zone, fold=1)
    if not 0 <= end - start <= LONGEST_EVENT_S:
        raise FormatError(
            f"{path}:{line}: an event of {end - start:.0f} s from start to end (0 to {LONGEST_EVENT_S:.0f} can be)"
        )
    sensor, kind, place = (text(row.get(name, "")) for name in ("sensor", "type", "place"))
    name = " ".join(part for part in (sensor, place if place != sensor else "") if part) or "unnamed"
    devices.setdefault(name, Device(name, role_of(sensor, kind, place), place or None))
    rows += [(start, _START, name), (end, _END if end > start else _END_AT_ONCE, name)]
