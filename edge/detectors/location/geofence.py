"""A resident who leaves all fences: believed only when the fixes say so for long enough.

Theory of operation. A fix lies outside when even its accuracy circle no longer touches a fence; inside when it lies a
little within one. In between it says nothing. Outside must hold for a dwell that shortens with the distance from the
edge, over at least two fixes. Fixes that begin with a leap nobody can make need three and a much longer dwell: most
often the leap back follows. An exit ends when fixes lie inside again for a while. Distances and times are own choice,
checked on simulated walks (docs/results/track.json).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from edge.detectors.base import Detection
from edge.detectors.location.fences import Fence, beyond_m
from edge.detectors.location.fixes import Fix, Fixes, Verdict, finite
from edge.detectors.location.hours import Hours
from edge.readings import Reading
from protocols.wire import AlarmKind, Evidence, Position, Priority

VERSION = 1
DWELL_NEAR_S, DWELL_FAR_S = 120.0, 30.0
NEAR_M, FAR_M = 10.0, 60.0
"""Beyond the accuracy circle: at `NEAR_M` from the edge the long dwell holds, at `FAR_M` the short one."""
JUMP_DWELL_S = 180.0
RETURN_DWELL_S = 30.0
INSIDE_M = 5.0
INSIDE_ACCURACY_M = 100.0
LONGEST_GAP_S = 1800.0
"""Fixes further apart are no continuous stay."""
OLD_S = 900.0
"""A fix older than this, of a device's own back-log, tells where somebody was and not where they are."""
LEAPT = 0.6
"""What is left of the confidence in an exit that begins with a leap: most often the leap back follows. Own choice."""
VEHICLE_M_S = 4.0
"""Nobody of the age walks this fast: at their fastest women in their seventies go 1.75 m/s and men in their twenties
2.53 (means of Bohannon, Age and Ageing 26 (1997) 15). Own choice, with room for the error of two fixes."""


@dataclass(slots=True)
class _Stay:
    """Fixes on one side of the edge in a row."""

    since: float
    last: float
    fixes: int = 1
    jumped: bool = False


class GeofenceDetector:
    """One device against its home's fences: safe is who is within any of those that hold at the hour.

    `counts` names fixes left out: late, ahead, jump, old, implausible, incomplete, not_a_number.
    """

    def __init__(self, device: str, fences: Iterable[Fence], hours: Hours) -> None:
        self._device = device
        self._fences = tuple(fences)
        self._hours = hours
        self._fixes = Fixes()
        self._beyond: _Stay | None = None
        self._within: _Stay | None = None
        self._pace: float | None = None
        self.outside = False
        self.counts = self._fixes.counts

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; anything but latitude, longitude, accuracy and speed is ignored."""
        fix = self._fixes.take(reading, now)
        return [] if fix is None else self._on_fix(fix, now)

    def on_tick(self, now: float) -> list[Detection]:
        """A fix is judged when its parts have had time to come."""
        fix = self._fixes.settle(now)
        return [] if fix is None else self._on_fix(fix, now)

    def beyond_m(self, fix: Fix) -> float | None:
        """How far outside the nearest fence of the hour a fix lies; None when no fence holds."""
        return beyond_m(self._fences, fix.lat, fix.lon, night=self._hours.night(fix.at))

    def _on_fix(self, fix: Fix, now: float) -> list[Detection]:
        before = self._fixes.last
        verdict = self._fixes.judge(fix, now)
        if verdict in (Verdict.LATE, Verdict.AHEAD):
            return []
        if verdict is Verdict.TIME_SET_BACK:
            self._beyond = self._within = None
        if now - fix.at > OLD_S:
            self.counts["old"] += 1
            return []
        self._pace = _pace(before, fix)
        beyond = self.beyond_m(fix)
        if beyond is None:
            self._beyond = None
            return []
        if beyond > fix.accuracy_m:
            return self._seen_outside(fix, beyond, jumped=verdict is Verdict.JUMP)
        if beyond <= -INSIDE_M and fix.accuracy_m <= max(INSIDE_ACCURACY_M, -beyond):
            return self._seen_inside(fix)
        return []

    def _seen_outside(self, fix: Fix, beyond: float, *, jumped: bool) -> list[Detection]:
        self._within = None
        self._beyond = stay = _extended(self._beyond, fix.at)
        stay.jumped = stay.jumped or jumped
        if self.outside or stay.fixes < (3 if stay.jumped else 2):
            return []
        needed = JUMP_DWELL_S if stay.jumped else _dwell_s(beyond - fix.accuracy_m)
        if fix.at - stay.since < needed:
            return []
        self.outside = True
        return [self._detection(fix, beyond, stay)]

    def _seen_inside(self, fix: Fix) -> list[Detection]:
        self._beyond = None
        self._within = stay = _extended(self._within, fix.at)
        if not self.outside or stay.fixes < 2 or fix.at - stay.since < RETURN_DWELL_S:
            return []
        self.outside = False
        evidence = Evidence(detector="geofence", device=self._device, at=fix.at, reason="condition_ended")
        return [_made(Priority.MEDIUM, fix, self._device, 1.0, evidence, cleared=True)]

    def _detection(self, fix: Fix, beyond: float, stay: _Stay) -> Detection:
        night = self._hours.night(fix.at)
        speed = fix.speed if fix.speed is not None else self._pace
        riding = speed is not None and speed > VEHICLE_M_S
        reason = "left_at_night" if night else "left_in_vehicle" if riding else "left_safe_area"
        priority = Priority.HIGH if night else Priority.MEDIUM
        numbers = {
            "beyond_m": round(beyond, 1),
            "accuracy_m": round(fix.accuracy_m, 1),
            "outside_s": round(fix.at - stay.since, 1),
            "fixes": float(stay.fixes),
        }
        if speed is not None:
            numbers["speed"] = round(speed, 2)
        sure = 1 - 0.5 * math.exp(1 - beyond / fix.accuracy_m)
        confidence = numbers["confidence"] = round(LEAPT * sure if stay.jumped else sure, 3)
        evidence = Evidence(detector="geofence", device=self._device, at=fix.at, reason=reason, numbers=numbers)
        return _made(priority, fix, self._device, confidence, evidence)

    def state(self) -> dict[str, Any]:
        """All memory: some hundred bytes."""
        return {
            "v": VERSION,
            "fixes": self._fixes.state(),
            "beyond": None if self._beyond is None else asdict(self._beyond),
            "within": None if self._within is None else asdict(self._within),
            "outside": self.outside,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state. Raises ValueError if it is none; then nothing changed."""
        if state.get("v") != VERSION:
            raise ValueError(f"geofence: state of version {state.get('v')!r}, this is {VERSION}")
        try:
            fixes = Fixes(counts=self.counts)
            fixes.restore(state["fixes"])
            beyond, within, outside = _stay(state["beyond"]), _stay(state["within"]), bool(state["outside"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"geofence: not a state: {error!r}") from error
        self._fixes, self._beyond, self._within, self.outside = fixes, beyond, within, outside


def _extended(stay: _Stay | None, at: float) -> _Stay:
    if stay is None or at - stay.last > LONGEST_GAP_S:
        return _Stay(at, at)
    stay.last, stay.fixes = at, stay.fixes + 1
    return stay


def _dwell_s(margin_m: float) -> float:
    share = (margin_m - NEAR_M) / (FAR_M - NEAR_M)
    return DWELL_NEAR_S + min(max(share, 0.0), 1.0) * (DWELL_FAR_S - DWELL_NEAR_S)


def _pace(before: Fix | None, fix: Fix) -> float | None:
    """Speed from one fix to the next, where the way is longer than their errors."""
    if before is None or not 0 < fix.at - before.at <= LONGEST_GAP_S:
        return None
    way = fix.metres_to(before)
    return way / (fix.at - before.at) if way > fix.accuracy_m + before.accuracy_m else None


def _stay(state: dict[str, Any] | None) -> _Stay | None:
    if state is None:
        return None
    return _Stay(finite(state["since"]), finite(state["last"]), int(state["fixes"]), bool(state["jumped"]))


def _made(
    priority: Priority, fix: Fix, device: str, confidence: float, evidence: Evidence, *, cleared: bool = False
) -> Detection:
    position = Position(lat=fix.lat, lon=fix.lon, accuracy_m=fix.accuracy_m, at=fix.at)
    kind = AlarmKind.GEOFENCE
    return Detection(kind, priority, fix.at, device, evidence.reason, confidence, (evidence,), cleared, position)
