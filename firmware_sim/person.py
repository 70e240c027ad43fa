"""A person with a day plan; every sensor in the home asks this one person, so that all agree."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from firmware_sim.signals import Activity

ROOMS = ("bedroom", "bathroom", "kitchen", "living_room", "hall")


@dataclass(frozen=True, slots=True)
class Stay:
    """Where the person is and what they do, from `start` (seconds since midnight) until the next stay."""

    start: float
    room: str
    activity: Activity


_OUTLINE: tuple[tuple[float, str, Activity], ...] = (
    (0.0, "bedroom", Activity.LYING),
    (6.6, "bathroom", Activity.STANDING),
    (6.9, "kitchen", Activity.STANDING),
    (7.4, "living_room", Activity.SITTING),
    (9.0, "hall", Activity.WALKING),
    (9.1, "outside", Activity.WALKING),
    (10.4, "hall", Activity.WALKING),
    (10.5, "kitchen", Activity.STANDING),
    (12.0, "living_room", Activity.SITTING),
    (13.0, "bedroom", Activity.LYING),
    (14.6, "bathroom", Activity.STANDING),
    (14.8, "living_room", Activity.SITTING),
    (17.5, "kitchen", Activity.STANDING),
    (18.6, "living_room", Activity.SITTING),
    (21.3, "bathroom", Activity.STANDING),
    (21.7, "bedroom", Activity.LYING),
)
"""Hours, rooms and activities of an ordinary day; each day shifts them a little."""


def day_plan(rng: np.random.Generator) -> list[Stay]:
    """One day, its times shifted, with short walks between rooms and two nightly visits to the bathroom."""
    stays = []
    for i, (hour, room, activity) in enumerate(_OUTLINE):
        start = hour * 3600 + (float(rng.normal(0, 300)) if i else 0.0)
        if i and room != "outside":
            stays.append(Stay(start - 20, "hall", Activity.WALKING))
        stays.append(Stay(start, room, activity))
    for hour in (2.2, 4.5):
        start = hour * 3600 + float(rng.normal(0, 900))
        stays += [Stay(start, "bathroom", Activity.STANDING), Stay(start + 240, "bedroom", Activity.LYING)]
    return sorted(stays, key=lambda stay: stay.start)


class Person:
    """Follows the plan until told otherwise."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._plan = day_plan(rng)
        self._starts = [stay.start for stay in self._plan]
        self._told: Stay | None = None
        self.fallen = False

    def at(self, second_of_day: float) -> Stay:
        """Where they are now."""
        if self._told is not None:
            return self._told
        return self._plan[max(0, bisect_right(self._starts, second_of_day) - 1)]

    def go(self, room: str, activity: Activity) -> None:
        """Leave the plan: be in `room`. Raises ValueError for a room the home does not have."""
        if room not in (*ROOMS, "outside"):
            raise ValueError(f"there is no room {room!r}; there is: {', '.join(ROOMS)}")
        self._told = Stay(0.0, room, activity)

    def follow_plan(self) -> None:
        """Go on with the day."""
        self._told, self.fallen = None, False
