"""Carbon monoxide as a number, of a sensor that says parts per million and has no alarm of its own.

Source: the times of EN 50291 (electrical apparatus for the detection of carbon monoxide in domestic premises), read as
others quote them: an alarm at 50 ppm after 60 to 90 minutes, at 100 ppm after 10 to 40, at 300 ppm within 3, none at 30
ppm. The earliest of each is taken. The American UL 2034 waits longer (70, 150, 400 ppm). Own choice: the rest.

A device that says `co` by itself is left to judge (edge.detectors.contact). The confidence is 1, as there: no doubt
must make less of a poisoning.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edge.detectors.base import Detection
from edge.readings import Device, Reading
from protocols.wire import AlarmKind, Evidence, Priority

VERSION = 1
CLEAR_PPM, CLEAR_S = 30.0, 600.0
"""Below this for so long, the air is good again."""
STILL = 0.9
"""A level goes on until the value is below this share of it."""
MOST_PPM = 10_000.0
STALE_S = 1800.0
"""A value stands for so long; then nobody knows, and nothing is concluded from it."""
BETWEEN_S = 7200.0
"""What two values say that are no further apart than this was so in between: some sensors speak once in half an hour or
an hour. After a longer silence a level must hold anew."""
LONGEST_TICK_GAP_S = 300.0
_LOOK_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Level:
    """From `ppm` on for `held_s` seconds; for `alone_s` where only one value has said so."""

    ppm: float
    held_s: float
    alone_s: float


LEVELS = (Level(50.0, 3600.0, 3600.0), Level(100.0, 600.0, 600.0), Level(300.0, 60.0, 180.0))


@dataclass(slots=True)
class _Air:
    """What one sensor says: the last value and, level by level, since when it holds and how many values said so."""

    ppm: float | None = None
    at: float = -math.inf
    since: list[float | None] = field(default_factory=lambda: [None] * len(LEVELS))
    values: list[int] = field(default_factory=lambda: [0] * len(LEVELS))
    told: bool = False
    good_since: float | None = None


class CarbonMonoxideDetector:
    """Every device of the home that says `co_ppm` and not `co`. One detection an occurrence, high; it clears when the
    air has been good for ten minutes. `counts`: `implausible`, `late`, `unobserved`.
    """

    def __init__(self, devices: Iterable[Device]) -> None:
        self._devices = {d.id for d in devices}
        self._air: dict[str, _Air] = {}
        self._judge_themselves: set[str] = set()
        self._seen: float | None = None
        self._looked = -math.inf
        self.counts: Counter[str] = Counter()

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; anything but `co` and `co_ppm` is ignored."""
        device, value = reading.device, reading.value
        if reading.metric == "co" and isinstance(value, bool) and device in self._devices:
            self._judge_themselves.add(device)
            self._air.pop(device, None)
        if reading.metric != "co_ppm" or isinstance(value, bool | str) or device not in self._devices:
            return []
        self._pass_time(now)
        if not 0 <= value <= MOST_PPM:
            self.counts["implausible"] += 1
        elif not abs(reading.at - now) <= STALE_S:
            self.counts["late"] += 1
        elif device not in self._judge_themselves:
            air = self._air.setdefault(device, _Air())
            if now - air.at > BETWEEN_S:
                air.since, air.values = [None] * len(LEVELS), [0] * len(LEVELS)
            if now - air.at > STALE_S:
                air.good_since = None
            air.ppm, air.at = float(value), now
            return self._judge(device, air, now, fresh=True)
        return []

    def on_tick(self, now: float) -> list[Detection]:
        """Levels must hold, and values grow stale."""
        if 0 <= now - self._looked < _LOOK_EVERY_S:
            return []  # since the last look, not the last value: one sensor that speaks often must not delay the others
        self._looked = now
        self._pass_time(now)
        return [d for device, air in sorted(self._air.items()) for d in self._judge(device, air, now, fresh=False)]

    def _judge(self, device: str, air: _Air, now: float, *, fresh: bool) -> list[Detection]:
        if air.ppm is None or now - air.at > STALE_S:
            return []
        if _reached(air, air.ppm, now, fresh=fresh) and not air.told:
            air.told, air.good_since = True, None
            return [_detection(device, air, now)]
        if not air.told or air.ppm >= CLEAR_PPM:
            air.good_since = None
            return []
        air.good_since = now if air.good_since is None else air.good_since
        if now - air.good_since < CLEAR_S:
            return []
        air.told, air.good_since = False, None
        return [_detection(device, air, now, cleared=True)]

    def _pass_time(self, now: float) -> None:
        """What nobody watched has not held; what was measured before a step of the clock moves along."""
        seen, self._seen = self._seen, now
        if seen is None or 0 <= now - seen <= LONGEST_TICK_GAP_S:
            return
        self.counts["unobserved"] += 1
        step = now - seen
        for air in self._air.values():
            air.at += step
            air.since = [None if at is None else at + step for at in air.since]
            air.good_since = None

    def state(self) -> dict[str, Any]:
        """All memory: some hundred bytes a sensor."""
        air = {d: [a.ppm, a.at, a.since, a.values, a.told, a.good_since] for d, a in sorted(self._air.items())}
        return {"v": VERSION, "seen": self._seen, "judge_themselves": sorted(self._judge_themselves), "air": air}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state; sensors no longer configured are left out. Raises ValueError if it is none."""
        if state.get("v") != VERSION:
            raise ValueError(f"carbon monoxide: state of version {state.get('v')!r}, this is {VERSION}")
        try:
            seen = None if state["seen"] is None else float(state["seen"])
            themselves = {str(d) for d in state["judge_themselves"]} & self._devices
            air = {str(d): _air(a) for d, a in state["air"].items() if d in self._devices}
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"carbon monoxide: not a state: {error!r}") from error
        self._seen, self._judge_themselves, self._air = seen, themselves, air


def _reached(air: _Air, ppm: float, now: float, *, fresh: bool) -> bool:
    """Take the value into account; whether some level has held for long enough."""
    reached = False
    for i, level in enumerate(LEVELS):
        since = air.since[i]
        if ppm < (level.ppm if since is None else STILL * level.ppm):
            air.since[i], air.values[i] = None, 0
            continue
        air.since[i] = since = now if since is None else since
        air.values[i] += fresh
        reached = reached or now - since >= (level.held_s if air.values[i] > 1 else level.alone_s)
    return reached


def _detection(device: str, air: _Air, now: float, *, cleared: bool = False) -> Detection:
    reason = "condition_ended" if cleared else "carbon_monoxide_high"
    began = min((at for at in air.since if at is not None), default=now)
    numbers = {"co_ppm": round(air.ppm or 0.0, 1), "minutes": round((now - began) / 60, 1)}
    evidence = Evidence(detector="carbon_monoxide", device=device, at=now, reason=reason, numbers=numbers)
    return Detection(AlarmKind.CO, Priority.HIGH, now, device, reason, 1.0, (evidence,), cleared)


def _air(state: list[Any]) -> _Air:
    ppm, at, since, values, told, good_since = state
    if not len(since) == len(values) == len(LEVELS):
        raise ValueError("not the levels of this software")
    times = [None if t is None else float(t) for t in since]
    good = None if good_since is None else float(good_since)
    return _Air(float(ppm), float(at), times, [int(n) for n in values], bool(told), good)
