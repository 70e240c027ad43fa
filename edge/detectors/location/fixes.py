"""Position fixes: put together from single readings in whatever order they come, and checked against each other."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from edge.detectors.location.geometry import between_m
from edge.readings import Reading

METRICS: Final = frozenset({"lat", "lon", "accuracy", "speed"})
# All figures here are own choice.
SETTLE_S: Final = 0.5
"""How long the parts of one fix may follow each other."""
UNKNOWN_ACCURACY_M: Final = 50.0
LEAST_ACCURACY_M: Final = 5.0
"""No phone is better than this under the sky of a town, whatever it says."""
FASTEST_M_S: Final = 55.0
"""Faster than this (200 km/h) nobody gets from one fix to the next: one of the two is wrong."""
LATE_IN_A_ROW: Final = 3
"""So many fixes before the last one, one after the other: the device's clock was set back."""
AHEAD_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Fix:
    """One position (WGS-84 degrees), the radius that holds it with 68 % in metres, and speed in m/s if told.

    68 % is what Android promises of its accuracy (Location.getAccuracy); iOS means 63 to 68 %. A browser's is of 95 %
    (W3C Geolocation), which makes a fence later and never earlier.
    """

    at: float
    lat: float
    lon: float
    accuracy_m: float
    speed: float | None = None

    def metres_to(self, other: Fix) -> float:
        """Distance between the two positions as they are given."""
        return between_m((self.lat, self.lon), (other.lat, other.lon))


class Verdict(StrEnum):
    """What to make of a fix, given the one before it."""

    GOOD = "good"
    JUMP = "jump"
    LATE = "late"
    AHEAD = "ahead"
    TIME_SET_BACK = "time_set_back"


@dataclass(slots=True)
class Fixes:
    """The fixes of one device. `last` is the newest that was not left out; `counts` names what was left out."""

    last: Fix | None = None
    counts: Counter[str] = field(default_factory=Counter)
    _parts: dict[str, float] = field(default_factory=dict)
    _at: float = 0.0
    _arrived: float = 0.0
    _late: list[float] = field(default_factory=list)

    def take(self, reading: Reading, now: float) -> Fix | None:
        """Take one reading; returns the fix before it once a new one begins."""
        value = reading.value
        if reading.metric not in METRICS or isinstance(value, bool | str):
            return None
        if not (math.isfinite(value) and math.isfinite(reading.at)):
            self.counts["not_a_number"] += 1
            return None
        whole = self._whole() if self._parts and reading.at != self._at else None
        if not self._parts:
            self._at, self._arrived = reading.at, now
        self._parts[reading.metric] = float(value)
        return whole

    def settle(self, now: float) -> Fix | None:
        """The fix whose parts have all had time to come."""
        if self._parts and not 0 <= now - self._arrived < SETTLE_S:
            return self._whole()
        return None

    def judge(self, fix: Fix, now: float) -> Verdict:
        """Compare with the last fix, and keep it as the last unless it is left out."""
        if fix.at > now + AHEAD_S:
            self.counts["ahead"] += 1
            return Verdict.AHEAD
        before = self.last
        if before is not None and fix.at <= before.at:
            self._late = [*[at for at in self._late if at < fix.at][-LATE_IN_A_ROW:], fix.at]
            if len(self._late) < LATE_IN_A_ROW:
                self.counts["late"] += 1
                return Verdict.LATE
            self.counts["time_set_back"] += 1
            self.last, self._late = fix, []
            return Verdict.TIME_SET_BACK
        self.last, self._late = fix, []
        if before is None:
            return Verdict.GOOD
        apart = fix.metres_to(before) - fix.accuracy_m - before.accuracy_m
        if apart > FASTEST_M_S * max(fix.at - before.at, 1.0):
            self.counts["jump"] += 1
            return Verdict.JUMP
        return Verdict.GOOD

    def state(self) -> dict[str, Any]:
        """The last fix and what waits, as plain values."""
        last = None if self.last is None else fix_state(self.last)
        return {"last": last, "parts": dict(self._parts), "at": self._at, "arrived": self._arrived, "late": self._late}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state. Raises ValueError, KeyError, TypeError."""
        last = None if state["last"] is None else fix_of(state["last"])
        parts = {str(k): finite(v) for k, v in state["parts"].items() if k in METRICS}
        at, arrived, late = finite(state["at"]), finite(state["arrived"]), [finite(t) for t in state["late"]]
        self.last, self._parts, self._at, self._arrived, self._late = last, parts, at, arrived, late

    def _whole(self) -> Fix | None:
        parts, self._parts = self._parts, {}
        lat, lon = parts.get("lat"), parts.get("lon")
        if lat is None or lon is None:
            self.counts["incomplete"] += 1
            return None
        accuracy = min(parts.get("accuracy", UNKNOWN_ACCURACY_M), 1e6)
        if not (-90 <= lat <= 90 and -180 <= lon <= 180) or accuracy < 0 or (lat == 0 and lon == 0):
            self.counts["implausible"] += 1  # 0, 0 is what receivers say before they know
            return None
        return Fix(self._at, lat, lon, max(accuracy, LEAST_ACCURACY_M), parts.get("speed"))


def fix_state(fix: Fix) -> list[float | None]:
    """A fix as plain values."""
    return [fix.at, fix.lat, fix.lon, fix.accuracy_m, fix.speed]


def fix_of(state: list[float | None]) -> Fix:
    """The fix of `fix_state`. Raises ValueError, TypeError."""
    at, lat, lon, accuracy, speed = state
    return Fix(finite(at), finite(lat), finite(lon), finite(accuracy), None if speed is None else finite(speed))


def finite(value: object) -> float:
    """A finite number; raises ValueError or TypeError on anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"no number: {value!r:.40}")
    if not math.isfinite(value):
        raise ValueError(f"not finite: {value!r}")
    return float(value)
