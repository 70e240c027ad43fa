"""Who can still be heard in the home, where it last showed life, and whether everybody has left."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from edge.detectors.places import Place, leads_outside, place_of
from edge.readings import Device, DeviceRole, Reading

FLAGS = frozenset({"motion", "contact_open", "bed_occupied", "presence"})
PRESSES = frozenset({"sos", "button"})
_ENDS_BY_ITSELF = frozenset({"motion", "presence"})
"""Their falling edge may come after the person is gone (a seat is left by a person)."""
_DEAD_AFTER_INTERVALS = 2.5
_DEAD_AFTER_AT_LEAST_S = 900.0
_BATTERY_DEAD = 1.0
_FORGET_S = 14 * 86_400.0
"""An event a sensor reported counts for 1/e after this time."""

_PLACES = {DeviceRole.BED: Place.BED, DeviceRole.SEAT: Place.SEAT}


class Presence:
    """The configured sensors of people's activity. `last_at` is the last sign of life, Unix seconds; `away` holds when
    that was an outside door.
    """

    def __init__(self, devices: Iterable[Device], *, pets: bool = False) -> None:
        self._devices = {d.id: d for d in devices}
        self._places = {d.id: _PLACES.get(d.role) or place_of(d.room, d.id) for d in self._devices.values()}
        self.doors = {
            d.id for d in self._devices.values() if d.role is DeviceRole.CONTACT and leads_outside(d.id, d.room)
        }
        others = any(d.role in (DeviceRole.CONTACT, DeviceRole.BED, DeviceRole.SEAT) for d in self._devices.values())
        self._deaf_to_motion = pets and others
        self._flags: dict[str, bool] = {}
        self._heard: dict[str, float] = {}
        self._dead_battery: set[str] = set()
        self._weights: dict[str, float] = {}
        self.last_at: float | None = None
        self.last_device = ""
        self.place = Place.OTHER
        self.away = False

    def place_of(self, device: str) -> Place:
        """Where a configured device is."""
        return self._places[device]

    def candidates(self) -> set[str]:
        """Sensors that might be an outside door although their name does not say so."""
        return {
            d.id
            for d in self._devices.values()
            if self._places[d.id] in (Place.ENTRANCE, Place.OTHER) and d.role in (DeviceRole.CONTACT, DeviceRole.MOTION)
        }

    def shows_life(self, reading: Reading, now: float) -> bool:
        """Take one reading; whether it is a new sign that somebody did something."""
        if reading.device not in self._devices:
            return False
        self._heard[reading.device] = now
        if reading.metric == "battery" and isinstance(reading.value, int | float):
            (self._dead_battery.add if reading.value <= _BATTERY_DEAD else self._dead_battery.discard)(reading.device)
            return False
        if reading.metric in PRESSES:
            return isinstance(reading.value, str) if reading.metric == "button" else reading.value is True
        if reading.metric not in FLAGS or not isinstance(reading.value, bool):
            return False
        if reading.metric == "motion" and self._deaf_to_motion:
            return False
        key = f"{reading.device}/{reading.metric}"
        before, self._flags[key] = self._flags.get(key), reading.value
        if reading.metric in _ENDS_BY_ITSELF and self._devices[reading.device].role is not DeviceRole.SEAT:
            return reading.value or (before is True and not self.away)
        return reading.value if before is None else before is not reading.value

    def enter(self, reading: Reading, at: float) -> None:
        """A sign of life at `at`: remember where. Of several at one moment the same one counts in any order."""
        device, started = reading.device, reading.value is not False
        if self.last_at is not None and at > self.last_at:
            kept = math.exp((self.last_at - at) / _FORGET_S)
            self._weights = {known: weight * kept for known, weight in self._weights.items()}
        self._weights[device] = self._weights.get(device, 0.0) + 1.0
        inside = device not in self.doors
        if self.last_at is not None and (at, inside, device) < (self.last_at, not self.away, self.last_device):
            return
        self.last_at, self.last_device, self.away = at, device, not inside
        place = self._places[device]
        if started:
            self.place = place
        elif place is self.place:
            self.place = Place.BEDROOM if place is Place.BED else Place.OTHER if place is Place.SEAT else place

    def share_heard(self, now: float) -> float:
        """How much of the home's usual activity comes from sensors that are alive (0 to 1).

        One is dead when it is silent for 2.5 of its intervals (at least 15 min) or its battery is empty; a sensor
        without an interval speaks only when something happens and is taken for alive.
        """
        total = alive = 0.0
        for device, weight in self._weights.items():
            total += weight
            alive += weight * (not self._dead(device, now))
        return alive / total if total > 0 else 0.0

    def hears(self, place: Place, now: float) -> bool:
        """Whether any sensor of this place is alive; False where there is none."""
        return any(p is place and not self._dead(device, now) for device, p in self._places.items())

    def bed_empty(self, now: float) -> bool:
        """Whether a bed sensor that is alive says that nobody lies there, and none says that somebody does."""
        beds = [d for d, device in self._devices.items() if device.role is DeviceRole.BED and not self._dead(d, now)]
        said = [self._flags.get(f"{bed}/bed_occupied") for bed in beds]
        return False in said and True not in said

    def _dead(self, device: str, now: float) -> bool:
        interval = self._devices[device].interval_s
        if device in self._dead_battery:
            return True
        if interval is None:
            return False
        return now - self._heard.get(device, now) > max(_DEAD_AFTER_INTERVALS * interval, _DEAD_AFTER_AT_LEAST_S)

    def shift(self, seconds: float) -> None:
        """Time passed unobserved, or the clock was set: what was measured on the old clock moves along."""
        if self.last_at is not None:
            self.last_at += seconds - 0.001  # what happens now comes after it
        self._heard = {device: at + seconds for device, at in self._heard.items()}

    def state(self) -> dict[str, Any]:
        """Plain values, bounded by the number of devices."""
        return {
            "flags": dict(sorted(self._flags.items())),
            "heard": dict(sorted(self._heard.items())),
            "dead_battery": sorted(self._dead_battery),
            "weights": dict(sorted(self._weights.items())),
            "last_at": self.last_at,
            "last_device": self.last_device,
            "place": self.place.value,
            "away": self.away,
            "doors": sorted(self.doors),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state; devices no longer configured are left out. Raises ValueError, KeyError, TypeError."""
        known = self._devices
        last_at = state["last_at"]
        heard = {d: float(at) for d, at in state["heard"].items() if d in known}
        weights = {d: float(w) for d, w in state["weights"].items() if d in known}
        numbers = [*heard.values(), *weights.values(), *([] if last_at is None else [float(last_at)])]
        if not all(map(math.isfinite, numbers)):
            raise ValueError("presence: a number that is not finite")
        place, away = Place(state["place"]), bool(state["away"])
        flags = {k: bool(v) for k, v in state["flags"].items() if k.rpartition("/")[0] in known}
        dead, doors = set(state["dead_battery"]) & set(known), set(state["doors"]) & set(known)
        self._heard, self._weights, self._flags, self._dead_battery = heard, weights, flags, dead
        self.last_at = None if last_at is None else float(last_at)
        self.last_device, self.place, self.away = str(state["last_device"]), place, away
        self.doors |= doors
