"""A stove that is on with nobody there: a power meter or thermometer at the stove, and motion in its kitchen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from edge.detectors.base import Detection
from edge.detectors.certainty import freshness
from edge.detectors.places import Place, place_of
from edge.readings import Device, DeviceRole, Reading
from protocols.wire import AlarmKind, Evidence, Priority

VERSION = 1
STALE_S = 1800.0
"""A stove silent for this long is not known to be on."""
LONGEST_TICK_GAP_S = 300.0
MOST = {"power": 20_000.0, "temperature": 400.0}
"""Watts of any stove, and degrees Celsius of any sensor over one that is not on fire; beyond it the sensor is wrong."""
SURE, DEAF = 0.9, 0.5
"""How sure an empty kitchen is; and where no sensor of it has said anything for `AWAKE_S`, when it may as well be deaf.
Both are multiplied by the freshness of the stove's own last value. Own choice."""
AWAKE_S = 86_400.0
_LIFE = frozenset({"motion", "presence"})


@dataclass(frozen=True, slots=True)
class StoveLimits:
    """On above, off below; `alone_s` is how long the kitchen may be empty meanwhile (soup simmers).

    Own choice, as no standard was found that has a limit: devices that switch a stove off when nobody moves wait 5
    minutes, at most 8 (their makers' pages), plain timers from ten minutes to hours; this one only asks. It is no fire
    protection: at full heat fat may burn before the fifteen minutes are over. 100 W is above what a stove's clock takes
    and below its smallest plate; 50 °C over a hob is above any kitchen's air.
    """

    on_w: float = 100.0
    off_w: float = 50.0
    on_c: float = 50.0
    off_c: float = 42.0
    alone_s: float = 900.0


class StoveDetector:
    """All stoves of the home (devices of role stove). Without a sensor of motion in the kitchen it judges nothing.

    Medium after `alone_s`, high after three times as long; it ends when somebody is in the kitchen or the stove is off.
    A thermometer is believed once it has been seen cool: one that says Fahrenheit or kelvin never is.
    `counts`: `unobserved` (holes in time and steps of the clock), `never_cool` (hot values of such a thermometer).
    """

    def __init__(self, devices: Iterable[Device], limits: StoveLimits = StoveLimits()) -> None:
        devices = tuple(devices)
        self._stoves = {d.id for d in devices if d.role is DeviceRole.STOVE}
        kitchens = {d.room for d in devices if d.id in self._stoves and d.room}
        eyes = (d for d in devices if d.role in (DeviceRole.MOTION, DeviceRole.PRESENCE))
        self._eyes = {d.id for d in eyes if d.room in kitchens or place_of(d.room, d.id) is Place.KITCHEN}
        self._limits = limits
        self._on: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        self._cooled: set[str] = set()
        self._there: set[str] = set()
        self._left: float | None = None
        self._eye_heard: float | None = None
        self._told: dict[str, str] = {}
        self._seen: float | None = None
        self.counts: Counter[str] = Counter()

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading: power (W) or temperature of a stove, motion or presence in its kitchen."""
        self._pass_time(now)
        if reading.device in self._eyes:
            self._eye_heard = now
        if reading.device in self._eyes and reading.metric in _LIFE:
            return self._somebody(reading, now)
        if reading.device not in self._stoves or isinstance(reading.value, bool | str):
            return []
        limits = {
            "power": (self._limits.on_w, self._limits.off_w),
            "temperature": (self._limits.on_c, self._limits.off_c),
        }
        if reading.metric not in limits or not 0 <= reading.value <= MOST[reading.metric]:
            return []
        on, off = limits[reading.metric]
        self._heard[reading.device] = now
        if reading.metric == "temperature" and reading.value < off:
            self._cooled.add(reading.device)
        if reading.value >= on and reading.metric == "temperature" and reading.device not in self._cooled:
            self.counts["never_cool"] += 1
        elif reading.value >= on:
            self._on.setdefault(reading.device, now)
        elif reading.value < off:
            return self._off(reading.device, now)
        return []

    def on_tick(self, now: float) -> list[Detection]:
        """An empty kitchen is silence."""
        self._pass_time(now)
        found: list[Detection] = []
        for stove in sorted(self._on):
            if now - self._heard[stove] > STALE_S:
                found += self._off(stove, now)
        if self._there or not self._eyes:
            return found
        for stove, since in sorted(self._on.items()):
            alone = now - max(since, self._left if self._left is not None else since)
            high = alone >= 3 * self._limits.alone_s
            reason = "stove_unattended_long" if high else "stove_unattended"
            if alone < self._limits.alone_s or self._told.get(stove) in (reason, "stove_unattended_long"):
                continue
            self._told[stove] = reason
            sure = round(self._sure(stove, now), 3)
            numbers = {"alone_s": round(alone, 1), "on_s": round(now - since, 1), "confidence": sure}
            evidence = Evidence(detector="stove", device=stove, at=now, reason=reason, numbers=numbers)
            priority = Priority.HIGH if high else Priority.MEDIUM
            found.append(Detection(AlarmKind.STOVE, priority, now, stove, reason, sure, (evidence,)))
        return found

    def _sure(self, stove: str, now: float) -> float:
        awake = self._eye_heard is not None and now - self._eye_heard <= AWAKE_S
        return (SURE if awake else DEAF) * freshness(now - self._heard[stove], STALE_S)

    def _somebody(self, reading: Reading, now: float) -> list[Detection]:
        """A motion sensor is believed until it says that nobody moves; then the kitchen is left."""
        self._left = now
        if reading.value is not True:
            self._there.discard(reading.device)
            return []
        if reading.metric == "presence":
            self._there.add(reading.device)
        return [self._ended(stove, now) for stove in sorted(self._told)]

    def _off(self, stove: str, now: float) -> list[Detection]:
        self._on.pop(stove, None)
        return [self._ended(stove, now)] if stove in self._told else []

    def _ended(self, stove: str, now: float) -> Detection:
        del self._told[stove]
        evidence = Evidence(detector="stove", device=stove, at=now, reason="condition_ended")
        kind, reason = AlarmKind.STOVE, evidence.reason
        return Detection(kind, Priority.MEDIUM, now, stove, reason, 1.0, (evidence,), cleared=True)

    def _pass_time(self, now: float) -> None:
        seen, self._seen = self._seen, now
        if seen is None or 0 <= now - seen <= LONGEST_TICK_GAP_S:
            return
        self.counts["unobserved"] += 1
        step = now - seen
        self._on = {stove: at + step for stove, at in self._on.items()}
        self._heard = {stove: at + step for stove, at in self._heard.items()}
        self._left = None if self._left is None else self._left + step
        self._eye_heard = None if self._eye_heard is None else self._eye_heard + step

    def state(self) -> dict[str, Any]:
        """All memory."""
        return {
            "v": VERSION,
            "on": dict(self._on),
            "heard": dict(self._heard),
            "cooled": sorted(self._cooled),
            "there": sorted(self._there),
            "left": self._left,
            "eye_heard": self._eye_heard,
            "told": dict(self._told),
            "seen": self._seen,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state; devices no longer configured are left out. Raises ValueError if it is none."""
        if state.get("v") != VERSION:
            raise ValueError(f"stove: state of version {state.get('v')!r}, this is {VERSION}")
        try:
            heard = {s: float(at) for s, at in state["heard"].items() if s in self._stoves}
            on = {s: float(at) for s, at in state["on"].items() if s in heard}
            there, told = set(state["there"]) & self._eyes, {s: str(r) for s, r in state["told"].items() if s in on}
            cooled = set(state.get("cooled", heard)) & self._stoves  # states before it was kept
            left, seen = (None if state[k] is None else float(state[k]) for k in ("left", "seen"))
            eye_heard = state.get("eye_heard", left)  # states before it was kept
            eye_heard = None if eye_heard is None else float(eye_heard)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"stove: not a state: {error!r}") from error
        self._on, self._heard, self._there, self._told, self._cooled = on, heard, there, told, cooled
        self._left, self._seen, self._eye_heard = left, seen, eye_heard
