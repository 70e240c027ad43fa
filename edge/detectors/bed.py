"""The night as the bed's own sensor sees it: out of bed for too long, not in bed at the usual time, a restless night.

Theory of operation. A night belongs to the day on which it ends at noon. Within it the bed is in use, or not; an exit
shorter than two minutes is a turn of the body. Usual times are medians of the last 28 nights with a robust spread, in
minutes from noon; until seven nights are known, fixed ones hold and only the long exit is told. How long an exit may
last is learned for each third of the night, since who is up for an hour towards morning may need five minutes at one.
All limits here are own choice: nothing published says how long an elder may be out of bed.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from edge.detectors.base import Detection
from edge.detectors.certainty import unlike
from edge.readings import Reading
from protocols.wire import AlarmKind, Evidence, Priority

VERSION = 2
NIGHTS_NEEDED, NIGHTS_KEPT = 7, 28
TURN_S = 120.0
FIXED_NIGHT = (660.0, 1020.0)
"""23 to 5 o'clock, in minutes from noon, until the usual night is known."""
FIXED_EXIT_S = 3600.0
LEAST_EXIT_S, MOST_EXIT_S = 1800.0, 7200.0
FIXED_SURE = 0.6
"""How sure the fixed limit is, and what needs none (own choice): nobody knows yet how this person sleeps."""
_PARTS = 3
_EXITS_KEPT = 90
_LATE_MIN = 120.0
_LEAST_EXITS = 4
_LONGEST_GAP_S = 900.0
_SLEPT_S = 1800.0
_FORGET_S = 172_800.0

Night = tuple[int, float, float, int]
"""Day on which it ended, first in bed and last out of bed (minutes from the noon before), exits."""
Exit = tuple[int, float]
"""The third of the night in which it began (-1: not known), and how long it lasted, in seconds."""


class BedDetector:
    """One bed. Reasons: `out_of_bed_long` (medium), `not_in_bed` and `restless_night` (low). An exit that is over
    clears. A clock that steps, or hours without a look, judge nothing. `counts`: unobserved.
    """

    def __init__(self, device: str, zone: tzinfo) -> None:
        self._device, self._zone = device, zone
        self._nights: list[Night] = []
        self._exits: list[Exit] = []
        self._occupied: bool | None = None
        self._since = 0.0
        self._now: float | None = None
        self._first: float | None = None
        self._last_out: float | None = None
        self._night = 0
        self._slept = self._out = 0
        self._told: list[str] = []
        self.counts: Counter[str] = Counter()

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading of this bed."""
        found = self._pass_time(now)
        if reading.device != self._device or reading.metric != "bed_occupied" or not isinstance(reading.value, bool):
            return found
        if reading.value is self._occupied:
            return found
        before, lasted = self._occupied, now - self._since
        self._occupied, self._since = reading.value, now
        if before is None:
            return found
        if reading.value:
            return found + self._back(lasted, now)
        self._slept += int(lasted) if self._first is not None else 0
        self._last_out = self._minute(now)
        return found

    def on_tick(self, now: float) -> list[Detection]:
        """Judge how long the bed has been empty."""
        found = self._pass_time(now)
        if self._occupied is not False:
            return found
        minute, (begin, end) = self._minute(now), self._usual_night()
        limit, known_exits = self._limit(self._part(self._minute(self._since)))
        quiet = now - self._since
        if begin + 30 <= minute <= end - 30 and self._slept >= _SLEPT_S and quiet >= limit:
            sure = unlike(known_exits) if known_exits else FIXED_SURE
            numbers = {"out_min": quiet / 60, "limit_min": limit / 60}
            found += self._tell("out_of_bed_long", Priority.MEDIUM, now, numbers, sure)
        late = self._spread([n[1] for n in self._nights])
        known = len(self._nights) >= NIGHTS_NEEDED and now - self._since < _FORGET_S
        if known and self._first is None and begin + max(_LATE_MIN, 3 * late) <= minute <= end:
            numbers = {"late_min": minute - begin}
            found += self._tell("not_in_bed", Priority.LOW, now, numbers, unlike(len(self._nights)))
        return found

    def _back(self, lasted: float, now: float) -> list[Detection]:
        minute = self._minute(now)
        if self._first is None:
            if minute >= 360:  # a rest in the afternoon is no night
                self._first = minute
            return []
        if lasted >= TURN_S and self._last_out is not None:
            self._out += 1
            self._exits = [*self._exits, (self._part(self._last_out), min(lasted, 6 * 3600.0))][-_EXITS_KEPT:]
        if "out_of_bed_long" not in self._told:
            return []
        self._told.remove("out_of_bed_long")
        return [self._detection("condition_ended", Priority.MEDIUM, now, {"out_min": lasted / 60}, cleared=True)]

    def _pass_time(self, now: float) -> list[Detection]:
        """Noon ends a night; a step of the clock moves along what was measured."""
        before, self._now = self._now, now
        if before is None:
            self._night = self._day(now)
            return []
        if not 0 <= now - before <= _LONGEST_GAP_S:
            self.counts["unobserved"] += 1
            self._since += now - before
            if self._day(now) != self._night:
                self._begin_night(now)
            if "not_in_bed" not in self._told:
                self._told.append("not_in_bed")  # a night not seen whole says nothing about going to bed
            return []
        return self._close(now) if self._day(now) != self._night else []

    def _close(self, now: float) -> list[Detection]:
        first, last, exits = self._first, self._last_out, self._out
        usual = [float(n[3]) for n in self._nights]
        found = []
        if first is not None and last is not None and self._slept >= _SLEPT_S:
            limit = max(_LEAST_EXITS, statistics.median(usual) + 3 * max(1.0, self._spread(usual))) if usual else 0.0
            if len(usual) >= NIGHTS_NEEDED and exits > limit:
                numbers = {"exits": float(exits), "usual": statistics.median(usual)}
                found = self._tell("restless_night", Priority.LOW, now, numbers, unlike(len(usual)))
            self._nights = [*self._nights, (self._night, first, last, exits)][-NIGHTS_KEPT:]
        self._begin_night(now)
        return found

    def _begin_night(self, now: float) -> None:
        self._night = self._day(now)
        self._first = self._last_out = None
        self._slept = self._out = 0
        self._told = []

    def _usual_night(self) -> tuple[float, float]:
        if len(self._nights) < NIGHTS_NEEDED:
            return FIXED_NIGHT
        return statistics.median(n[1] for n in self._nights), statistics.median(n[2] for n in self._nights)

    def _part(self, minute: float) -> int:
        """The third of the usual night that a minute lies in."""
        begin, end = self._usual_night()
        return int(max(0.0, min(_PARTS - 1, _PARTS * (minute - begin) / max(end - begin, 60.0))))

    def _limit(self, part: int) -> tuple[float, int]:
        """Half as long again as nearly all exits of late in this part of the night, or in all of it; and of how many.
        Longer than all of n is one in n + 1 by chance.
        """
        known = [length for of, length in self._exits if of == part]
        if len(known) < NIGHTS_NEEDED:
            known = [length for _, length in self._exits]
        if len(known) < NIGHTS_NEEDED:
            return FIXED_EXIT_S, 0
        ordered = sorted(known)
        return min(MOST_EXIT_S, max(LEAST_EXIT_S, 1.5 * ordered[int(0.95 * (len(ordered) - 1))])), len(ordered)

    @staticmethod
    def _spread(values: Sequence[float]) -> float:
        if not values:
            return 0.0
        centre = statistics.median(values)
        return 1.4826 * statistics.median(abs(v - centre) for v in values)

    def _local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, UTC).astimezone(self._zone)

    def _day(self, at: float) -> int:
        local = self._local(at)
        return local.toordinal() + (local.hour >= 12)

    def _minute(self, at: float) -> float:
        local = self._local(at)
        return float((local.hour * 60 + local.minute - 720) % 1440)

    def _tell(
        self, reason: str, priority: Priority, now: float, numbers: dict[str, float], sure: float
    ) -> list[Detection]:
        if reason in self._told:
            return []
        self._told.append(reason)
        return [self._detection(reason, priority, now, numbers, sure)]

    def _detection(
        self,
        reason: str,
        priority: Priority,
        now: float,
        numbers: dict[str, float],
        sure: float = 1.0,
        *,
        cleared: bool = False,
    ) -> Detection:
        rounded = {name: round(value, 1) for name, value in numbers.items()} | {"nights": float(len(self._nights))}
        rounded["confidence"] = sure = round(sure, 2)
        evidence = Evidence(detector="bed", device=self._device, at=now, reason=reason, numbers=rounded)
        return Detection(AlarmKind.BED_EXIT, priority, now, self._device, reason, sure, (evidence,), cleared)

    def state(self) -> dict[str, Any]:
        """All memory, as plain values; under 4 KB."""
        return {
            "v": VERSION,
            "nights": [list(night) for night in self._nights],
            "exits": [list(one) for one in self._exits],
            "occupied": self._occupied,
            "since": self._since,
            "now": self._now,
            "night": [self._night, self._first, self._last_out, self._slept, self._out],
            "told": self._told,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state. Raises ValueError if it is none; then nothing changed."""
        if state.get("v") not in (1, VERSION):
            raise ValueError(f"bed: state of version {state.get('v')!r}, this is {VERSION}")
        try:
            nights = [(int(d), _finite(a), _finite(b), int(n)) for d, a, b, n in state["nights"]]
            exits = [_exit(e, state["v"]) for e in state["exits"]]
            since = _finite(state["since"])
            now, (night, first, last, slept, out) = state["now"], state["night"]
            occupied, told = state["occupied"], [str(reason) for reason in state["told"]]
            if occupied is not None and not isinstance(occupied, bool):
                raise ValueError("occupied is no flag")
            times = [None if t is None else _finite(t) for t in (now, first, last)]
            numbers = int(night), int(slept), int(out)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"bed: not a state: {error!r}") from error
        self._nights, self._exits, self._occupied, self._since, self._told = nights, exits, occupied, since, told
        self._now, self._first, self._last_out = times
        self._night, self._slept, self._out = numbers


def _exit(value: Any, version: int) -> Exit:
    """Version 1 did not know the part of the night."""
    part, length = (-1, value) if version == 1 else value
    return int(part), _finite(length)


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} is not a finite number")
    return float(value)
