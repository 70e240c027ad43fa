"""Notices about how somebody lives: meals left out, a long stay in the bathroom, restless nights, gradual decline.

Theory of operation. A day is counted in quarters of an hour with any sign of life (awake hours, night) and with one
from the kitchen (three meals). At its end the counts go into Baselines, whose CUSUM finds drift over weeks. A day with
a hole in it (the gateway off, a clock that stepped, half the sensors dead), or a meal for which somebody was out or
the kitchen's sensors were dead, counts as unknown. Everything here is a notice of low priority; it never alarms and
clears nothing. All limits are own choice.

Confidence: how rarely the days known so far had the like; where a deaf sensor would look the same, times the share of
the home that is heard.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from typing import Any

from edge.detectors.base import Detection
from edge.detectors.baseline import Baseline
from edge.detectors.certainty import unlike
from edge.detectors.places import Place
from edge.detectors.presence import Presence
from edge.readings import Device, Reading
from protocols.wire import AlarmKind, Evidence, Priority

VERSION = 1
HOME = "home"
"""Notices are about the home, so that they can neither join nor end the alarm of a sensor."""
MEALS = ((5, 11), (11, 15), (16, 21))
"""Local hours of breakfast, lunch and dinner."""
DAYS_NEEDED, DAYS_KEPT = 10, 28
USUALLY = 0.8
BATHROOM_S, BATHROOM_MOST_S = 3600.0, 7200.0
NIGHT_H = 5
DAY_H = (6, 20)
"""Hours in which a stay in the bathroom may begin that is watched; at others only while a bed sensor says that the bed
is empty, because the way back to bed may touch nothing else."""
FIXED_SURE = 0.6
"""How sure the fixed limit of a stay in the bathroom is (own choice): nobody knows yet how long this home's are."""
LEAST_HEARD = 0.5
_GAP_S = 900.0
_LOOK_EVERY_S = 60.0
_SPREADS = {"active": 3.0, "kitchen": 1.5, "night": 1.0}
_WORSE = {"active": -1, "kitchen": -1, "night": 1}
_STAYS_KEPT = 100


class HabitsDetector:
    """One home. Reasons: `meals_missed` (two on end that are usually taken), `bathroom_stay_long`, `restless_night`,
    `less_active_lately`, `less_kitchen_lately`, `more_night_activity_lately`. `counts`: unobserved.
    """

    def __init__(self, devices: Iterable[Device], zone: tzinfo, *, pets: bool = False) -> None:
        devices = tuple(devices)
        self._zone = zone
        self._presence = Presence(devices, pets=pets)
        self._baselines = {name: Baseline(spread) for name, spread in _SPREADS.items()}
        self._nights: list[int] = []
        self._meals: list[list[bool | None]] = [[] for _ in MEALS]
        self._stays: list[float] = []
        self._day: int | None = None
        self._now: float | None = None
        self._looked = -math.inf
        self._entered: float | None = None
        self._slots: dict[str, list[int]] = {}
        self._meal_state: list[bool | None] = []
        self._whole = self._kitchen_heard = False
        self._told: list[str] = []
        self._begin_day(None)
        self.counts: Counter[str] = Counter()

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; what shows no life only tells that its sensor is alive."""
        found = self._pass_time(now)
        if not self._presence.shows_life(reading, now):
            return found
        self._presence.enter(reading, now)
        place, local = self._presence.place_of(reading.device), self._local(now)
        self._bathroom(place, reading.value is not False, local.hour, now)
        slot = local.hour * 4 + local.minute // 15
        for name, counts in (
            ("night", local.hour < NIGHT_H),
            ("active", local.hour >= NIGHT_H),
            ("kitchen", place is Place.KITCHEN),
        ):
            if counts and slot not in self._slots[name]:
                self._slots[name].append(slot)
        if place is Place.KITCHEN:
            for meal, (begin, end) in enumerate(MEALS):
                if begin <= local.hour < end:
                    self._meal_state[meal] = True
        return found

    def _bathroom(self, place: Place, starts: bool, hour: int, now: float) -> None:
        """A stay lasts until something elsewhere is touched."""
        if place is Place.BATHROOM:
            watched = DAY_H[0] <= hour < DAY_H[1] or self._presence.bed_empty(now)
            if starts and self._entered is None and watched:
                self._entered = now
        elif self._entered is not None:
            self._stays = [*self._stays, min(now - self._entered, BATHROOM_MOST_S)][-_STAYS_KEPT:]
            self._entered = None

    def on_tick(self, now: float) -> list[Detection]:
        """Once a minute: meals that are over, and the bathroom."""
        found = self._pass_time(now)
        if 0 <= now - self._looked < _LOOK_EVERY_S:
            return found
        self._looked = now
        local = self._local(now)
        if self._presence.share_heard(now) < LEAST_HEARD:
            self._whole, self._entered = False, None
        deaf = not self._presence.hears(Place.KITCHEN, now)
        self._kitchen_heard = self._kitchen_heard and not deaf
        if self._presence.away or deaf:
            for meal, (begin, end) in enumerate(MEALS):
                if begin <= local.hour < end and self._meal_state[meal] is False:
                    self._meal_state[meal] = None
        if self._whole:
            found += self._missed(local.hour, now)
        stay = 0.0 if self._entered is None else now - self._entered
        if stay >= self._stay_limit():
            numbers = {"stay_min": stay / 60, "limit_min": self._stay_limit() / 60}
            sure = unlike(len(self._stays)) if self._knows_stays() else FIXED_SURE
            found += self._tell("bathroom_stay_long", now, sure * self._presence.share_heard(now), numbers)
        return found

    def _missed(self, hour: int, now: float) -> list[Detection]:
        for meal in range(1, len(MEALS)):
            both = (meal - 1, meal)
            usual = all(self._usually(m) for m in both)
            if hour >= MEALS[meal][1] and usual and all(self._meal_state[m] is False for m in both):
                sure = (1 - self._left_out(both[0]) * self._left_out(both[1])) * self._presence.share_heard(now)
                numbers = {"from_hour": float(MEALS[meal - 1][0]), "to_hour": float(hour)}
                return self._tell("meals_missed", now, sure, numbers)
        return []

    def _known(self, meal: int) -> list[bool]:
        return [taken for taken in self._meals[meal] if taken is not None]

    def _usually(self, meal: int) -> bool:
        known = self._known(meal)
        return len(known) >= DAYS_NEEDED and sum(known) >= USUALLY * len(known)

    def _left_out(self, meal: int) -> float:
        """How likely this person leaves out a meal on an ordinary day, from the days known (Laplace)."""
        known = self._known(meal)
        return (len(known) - sum(known) + 1) / (len(known) + 2)

    def _knows_stays(self) -> bool:
        return len(self._stays) >= 3 * DAYS_NEEDED

    def _stay_limit(self) -> float:
        if not self._knows_stays():
            return BATHROOM_S
        ordered = sorted(self._stays)
        return min(BATHROOM_MOST_S, max(BATHROOM_S / 2, 1.5 * ordered[int(0.98 * (len(ordered) - 1))]))

    def _pass_time(self, now: float) -> list[Detection]:
        before, self._now = self._now, now
        day = self._local(now).toordinal()
        if before is not None and not 0 <= now - before <= _GAP_S:
            self.counts["unobserved"] += 1
            self._presence.shift(now - before)
            self._whole, self._entered = False, None
        if self._day is None or day != self._day:
            found = self._close(day, now) if self._day is not None and self._whole else []
            whole = before is not None and 0 <= now - before <= _GAP_S
            self._begin_day(day, whole=whole)
            return found
        return []

    def _close(self, day: int, now: float) -> list[Detection]:
        """The day is over: what it was like, and what that makes of the last weeks."""
        assert self._day is not None
        found: list[Detection] = []
        night = len(self._slots["night"])
        usual = statistics.median(self._nights) if len(self._nights) >= DAYS_NEEDED else None
        if usual is not None:
            spread = 1.4826 * statistics.median(abs(n - usual) for n in self._nights)
            if night > usual + 3 * max(spread, 1.0):
                numbers = {"quarters": float(night), "usual": float(usual)}
                found += self._tell("restless_night", now, unlike(len(self._nights)), numbers)
        self._nights = [*self._nights, night][-DAYS_KEPT:]
        for meal, taken in enumerate(self._meal_state):
            self._meals[meal] = [*self._meals[meal], taken][-DAYS_KEPT:]
        for name, baseline in self._baselines.items():
            if name == "kitchen" and not self._kitchen_heard:
                continue
            drift = baseline.add(float(len(self._slots[name])), self._day, 0)
            if drift is not None and drift * _WORSE[name] > 0:
                reason = "more_night_activity_lately" if name == "night" else f"less_{name}_lately"
                heard = 1.0 if name == "night" else self._presence.share_heard(now)
                found += self._tell(reason, now, unlike(baseline.days) * heard, {"cusum": drift})
        return found

    def _begin_day(self, day: int | None, *, whole: bool = False) -> None:
        self._day, self._whole, self._told = day, whole, []
        self._kitchen_heard = True
        self._slots = {name: [] for name in _SPREADS}
        self._meal_state = [False] * len(MEALS)

    def _local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, UTC).astimezone(self._zone)

    def _tell(self, reason: str, now: float, sure: float, numbers: dict[str, float]) -> list[Detection]:
        if reason in self._told:
            return []
        self._told.append(reason)
        rounded = {name: round(value, 1) for name, value in numbers.items()}
        rounded["confidence"] = sure = round(sure, 3)
        evidence = Evidence(detector="habits", device=HOME, at=now, reason=reason, numbers=rounded)
        return [Detection(AlarmKind.INACTIVITY, Priority.LOW, now, HOME, reason, sure, (evidence,))]

    def state(self) -> dict[str, Any]:
        """All memory, as plain values; under 20 KB."""
        return {
            "v": VERSION,
            "presence": self._presence.state(),
            "baselines": {name: b.state() for name, b in self._baselines.items()},
            "nights": self._nights,
            "meals": self._meals,
            "stays": self._stays,
            "day": self._day,
            "now": self._now,
            "entered": self._entered,
            "today": {
                "slots": self._slots,
                "meals": self._meal_state,
                "whole": self._whole,
                "kitchen_heard": self._kitchen_heard,
                "told": self._told,
            },
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state. Raises ValueError if it is none; then nothing changed."""
        if state.get("v") != VERSION:
            raise ValueError(f"habits: state of version {state.get('v')!r}, this is {VERSION}")
        before = self.state()
        try:
            self._take(state)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            self._take(before)
            raise ValueError(f"habits: not a state: {error!r}") from error

    def _take(self, state: dict[str, Any]) -> None:
        today = state["today"]
        slots = {name: [int(slot) for slot in today["slots"][name]] for name in _SPREADS}
        meals = [[_flag(taken) for taken in row] for row in state["meals"]]
        meal_state = [_flag(taken) for taken in today["meals"]]
        if not len(meals) == len(meal_state) == len(MEALS):
            raise ValueError("not three meals")
        stays, nights = [_finite(s) for s in state["stays"]], [int(n) for n in state["nights"]]
        now, entered = (None if state[k] is None else _finite(state[k]) for k in ("now", "entered"))
        for name, baseline in self._baselines.items():
            baseline.restore(state["baselines"][name])
        self._presence.restore(state["presence"])
        self._slots, self._meals, self._meal_state, self._stays, self._nights = slots, meals, meal_state, stays, nights
        self._day = None if state["day"] is None else int(state["day"])
        self._now, self._entered, self._looked = now, entered, -math.inf
        self._whole, self._told = bool(today["whole"]), [str(reason) for reason in today["told"]]
        self._kitchen_heard = bool(today.get("kitchen_heard", True))  # states before it was kept


def _flag(value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"{value!r:.40} is no flag")
    return value


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} is not a finite number")
    return float(value)
