"""A home too hot or too cold for an elder: levels held for long enough, with hysteresis, by published limits.

Sources. Heat: the bands of the NWS heat index (extreme caution from 90 F, danger from 103 F, extreme danger from
125 F, as its chart is handed on today; some of its offices show 105 and 130 F: the earlier ones are taken).
Cold: 18 degrees is the least the WHO Housing and Health Guidelines (2018) and the UK Health Security Agency recommend;
below 12 the blood pressure may rise, and after two or more hours at 9 or less the deep body temperature of resting
clothed elders falls (K. J. Collins, "Low indoor temperatures and morbidity in the elderly", Age and Ageing 15 (1986)
212-220; its abstract was read).
Own choice: how long a level must hold (but for the two hours), the hysteresis, and when a value is stale.

Confidence: how likely the room truly is beyond the level, given what its sensor errs by, how old the last value is, and
for heat whether the humidity is known.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edge.detectors.base import Detection
from edge.detectors.certainty import beyond
from edge.detectors.home.heat_index import heat_index
from edge.readings import Device, DeviceRole, Reading
from protocols.wire import AlarmKind, Evidence, Priority

VERSION = 1
STALE_S = 4 * 3600.0
"""A value older than this says nothing of the room now (sensors report at least every four hours)."""
HUMIDITY_STALE_S = 2 * 3600.0
HYSTERESIS_C = 1.0
CLEAR_S = 1800.0
SENSOR_ERROR_C = 0.5
"""What a home's thermometer errs by. Own choice, as are the next three: about what makers state."""
INDEX_ERROR_C, DRY_ERROR_C = 2.5, 5.0
"""What the heat index errs by: half a degree and five per cent of humidity make 2.7 degrees of it at 94 F and 60 %. And
what the air's temperature errs by as a heat index while the humidity is not known."""
DRIFT_C_H = 0.5
"""How far a room may have gone in an hour since its last value."""
INDOORS_C = (-10.0, 58.0)
"""Outside of this it is no room: a freezer, a stove, the sun on the sensor, or degrees Fahrenheit."""


@dataclass(frozen=True, slots=True)
class Level:
    """From `limit_c` on (heat: upwards, cold: downwards) for `held_s` seconds."""

    limit_c: float
    held_s: float
    priority: Priority
    reason: str


HEAT = (
    Level(32.2, 6 * 3600.0, Priority.LOW, "heat_extreme_caution"),
    Level(39.4, 3600.0, Priority.MEDIUM, "heat_danger"),
    Level(51.7, 900.0, Priority.HIGH, "heat_extreme_danger"),
)
COLD = (
    Level(18.0, 6 * 3600.0, Priority.LOW, "cold_below_18"),
    Level(12.0, 2 * 3600.0, Priority.MEDIUM, "cold_below_12"),
    Level(9.0, 2 * 3600.0, Priority.HIGH, "cold_below_9"),
)


@dataclass(slots=True)
class _Side:
    """One room's heat or cold: since when each level has held (gateway's time), and the level told."""

    since: list[float | None] = field(default_factory=lambda: [None] * 3)
    told: int = -1
    better_since: float | None = None


@dataclass(slots=True)
class _Room:
    temperature: float | None = None
    at: float = -math.inf
    humidity: float | None = None
    humidity_at: float = -math.inf
    heat: _Side = field(default_factory=_Side)
    cold: _Side = field(default_factory=_Side)


class ClimateDetector:
    """Every climate sensor of the home for itself; without humidity heat is judged by the temperature alone.

    A higher level is a new detection; the condition clears when it has been a degree better for half an hour.
    `counts`: `implausible`, `late`, `unobserved`.
    """

    def __init__(
        self,
        devices: Iterable[Device],
        heat: tuple[Level, ...] = HEAT,
        cold: tuple[Level, ...] = COLD,
        ignore: Iterable[str] = (),
    ) -> None:
        left_out = set(ignore)
        rooms = (d.id for d in devices if d.role is DeviceRole.CLIMATE and d.id not in left_out)
        self._rooms = {name: _Room(heat=_Side([None] * len(heat)), cold=_Side([None] * len(cold))) for name in rooms}
        self._heat, self._cold = heat, cold
        self._seen: float | None = None
        self._looked = -math.inf
        self.counts: Counter[str] = Counter()

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; temperature and humidity of climate sensors count."""
        room = self._rooms.get(reading.device)
        value = reading.value
        if room is None or isinstance(value, bool | str) or reading.metric not in ("temperature", "humidity"):
            return []
        found = self._pass_time(now)
        low, high = INDOORS_C if reading.metric == "temperature" else (1.0, 100.0)
        if not low <= value <= high:
            self.counts["implausible"] += 1
            return found
        if not -STALE_S < reading.at - now < STALE_S:
            self.counts["late"] += 1
            return found
        if reading.metric == "humidity":
            room.humidity, room.humidity_at = float(value), now
        else:
            room.temperature, room.at = float(value), now
        return [*found, *self._judge(reading.device, room, now)]

    def on_tick(self, now: float) -> list[Detection]:
        """Levels must hold; values grow stale."""
        if 0 <= now - self._looked < 60.0:
            return []  # since the last look, not the last value: a room that speaks often must not delay the others
        self._looked = now
        found = self._pass_time(now)
        for device, room in self._rooms.items():
            found += self._judge(device, room, now)
        return found

    def _judge(self, device: str, room: _Room, now: float) -> list[Detection]:
        if room.temperature is None or now - room.at > STALE_S:
            room.heat.since, room.cold.since = [None] * len(self._heat), [None] * len(self._cold)
            return []
        humid = room.humidity if now - room.humidity_at <= HUMIDITY_STALE_S else None
        feels = room.temperature if humid is None else heat_index(room.temperature, humid)
        numbers = {"temperature": round(room.temperature, 1), "heat_index": round(feels, 1)}
        if humid is not None:
            numbers["humidity"] = round(humid, 1)
        drift = DRIFT_C_H * max(now - room.at, 0.0) / 3600
        index_error = INDEX_ERROR_C if humid is not None else DRY_ERROR_C
        hot = _step(room.heat, self._heat, feels, 1.0, now)
        cold = _step(room.cold, self._cold, room.temperature, -1.0, now)
        found = []
        if hot is not None:
            level = self._heat[hot] if hot >= 0 else None
            sure = 1.0 if level is None else beyond(feels - level.limit_c, math.hypot(index_error, drift))
            found.append(_detection(AlarmKind.HEAT, device, now, level, numbers, sure))
        if cold is not None:
            level = self._cold[cold] if cold >= 0 else None
            sure = 1.0 if level is None else beyond(level.limit_c - room.temperature, math.hypot(SENSOR_ERROR_C, drift))
            found.append(_detection(AlarmKind.COLD, device, now, level, numbers, sure))
        return found

    def _pass_time(self, now: float) -> list[Detection]:
        """What nobody watched has not held; what was measured before a step of the clock moves along."""
        seen, self._seen = self._seen, now
        if seen is None or 0 <= now - seen <= 900.0:
            return []
        self.counts["unobserved"] += 1
        step = now - seen
        for room in self._rooms.values():
            room.at += step
            room.humidity_at += step
            for side in (room.heat, room.cold):
                side.since = [None if t is None else t + step for t in side.since]
                side.better_since = None
        return []

    def state(self) -> dict[str, Any]:
        """All memory: some hundred bytes a sensor."""
        rooms = {
            name: {
                "temperature": room.temperature,
                "at": _number(room.at),
                "humidity": room.humidity,
                "humidity_at": _number(room.humidity_at),
                "heat": [list(room.heat.since), room.heat.told, room.heat.better_since],
                "cold": [list(room.cold.since), room.cold.told, room.cold.better_since],
            }
            for name, room in self._rooms.items()
        }
        return {"v": VERSION, "seen": self._seen, "rooms": rooms}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state; sensors no longer configured are left out. Raises ValueError if it is none."""
        if state.get("v") != VERSION:
            raise ValueError(f"climate: state of version {state.get('v')!r}, this is {VERSION}")
        try:
            seen = None if state["seen"] is None else float(state["seen"])
            rooms = {n: self._room(r) for n, r in state["rooms"].items() if n in self._rooms}
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"climate: not a state: {error!r}") from error
        self._seen = seen
        self._rooms |= rooms

    def _room(self, state: dict[str, Any]) -> _Room:
        temperature, humidity = (None if state[k] is None else float(state[k]) for k in ("temperature", "humidity"))
        at, humidity_at = (-math.inf if state[k] is None else float(state[k]) for k in ("at", "humidity_at"))
        sides = (_side(state["heat"], len(self._heat)), _side(state["cold"], len(self._cold)))
        return _Room(temperature, at, humidity, humidity_at, *sides)


def _step(side: _Side, levels: tuple[Level, ...], value: float, sign: float, now: float) -> int | None:
    """The level newly reached, -1 when it is over, None when nothing changes. `sign` is -1 for cold."""
    reached = -1
    for i, level in enumerate(levels):
        over = sign * (value - level.limit_c)
        if over < -HYSTERESIS_C or (over < 0 and side.since[i] is None):
            side.since[i] = None
            continue
        since = side.since[i]
        side.since[i] = since = now if since is None else since
        if now - since >= level.held_s:
            reached = i
    if reached > side.told:
        side.told, side.better_since = reached, None
        return reached
    if side.told < 0 or side.since[0] is not None:
        side.better_since = None
        return None
    side.better_since = now if side.better_since is None else side.better_since
    if now - side.better_since < CLEAR_S:
        return None
    side.told, side.better_since = -1, None
    return -1


def _detection(
    kind: AlarmKind, device: str, now: float, level: Level | None, numbers: dict[str, float], sure: float
) -> Detection:
    reason = "condition_ended" if level is None else level.reason
    priority = Priority.MEDIUM if level is None else level.priority
    if level is not None:
        numbers = numbers | {"confidence": round(sure, 3)}
    evidence = Evidence(detector="climate", device=device, at=now, reason=reason, numbers=numbers)
    return Detection(kind, priority, now, device, reason, round(sure, 3), (evidence,), cleared=level is None)


def _side(state: list[Any], levels: int) -> _Side:
    since, told, better = state
    if len(since) != levels:
        return _Side([None] * levels)
    times = [None if t is None else float(t) for t in since]
    return _Side(times, min(int(told), levels - 1), None if better is None else float(better))


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
