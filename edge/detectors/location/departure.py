"""The outside door: opened at night and nobody back, or left standing open with nobody heard in the home.

All times and both degrees of sureness are own choice: nothing published says how long a way to the bin takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from edge.detectors.base import Detection
from edge.detectors.location.fixes import finite
from edge.detectors.location.hours import Hours
from edge.detectors.places import leads_outside
from edge.readings import Device, DeviceRole, Reading
from protocols.wire import AlarmKind, Evidence, Priority

VERSION = 1
BACK_WITHIN_S = 600.0
"""Somebody who takes out the rubbish at night is back by then."""
STANDS_OPEN_S = 900.0
SURE, DEAF = 0.7, 0.4
"""How sure an empty home is; and if none of its sensors has spoken for `AWAKE_S`, when it may as well be deaf."""
AWAKE_S = 3600.0
PASSING_S = 30.0
"""Movement within this of the opening may be that of who leaves."""
HEARD_WITHIN_S = 86_400.0
"""A home whose sensors have all been silent for a day cannot say that it is empty."""
LONGEST_TICK_GAP_S = 300.0
_LIFE = frozenset({"motion", "presence", "bed_occupied", "vibration", "contact_open", "button", "sos"})


class DepartureDetector:
    """The whole home. Doors are known by their names (edge.detectors.places) or listed.

    `counts`: `deaf` (openings that could not be judged), `unobserved` (holes in time and steps of the clock).
    """

    def __init__(self, devices: Iterable[Device], hours: Hours, doors: Iterable[str] = ()) -> None:
        devices = tuple(devices)
        named = {d.id for d in devices if d.role is DeviceRole.CONTACT and leads_outside(d.id, d.room)}
        self._doors = frozenset(doors) or frozenset(named)
        worn = (DeviceRole.WEARABLE, DeviceRole.GPS)
        self._inside = {d.id for d in devices if d.id not in self._doors and d.role not in worn}
        self._hours = hours
        self._open: set[str] = set()
        self._opened: float | None = None
        self._door = ""
        self._heard: float | None = None
        self._seen: float | None = None
        self._alarm: str | None = None
        self.counts: Counter[str] = Counter()

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; flags of doors and signs of life inside count, everything else only that it is heard."""
        self._pass_time(now)
        if reading.device in self._doors and reading.metric == "contact_open" and isinstance(reading.value, bool):
            self._note_door(reading.device, reading.value, now)
            return []
        if reading.metric == "at_home" and reading.value is True:
            return self._somebody(now)
        if reading.device not in self._inside:
            return []
        self._heard = now
        if reading.metric not in _LIFE or reading.value is False:
            return []
        return self._somebody(now)

    def on_tick(self, now: float) -> list[Detection]:
        """Nobody coming back is silence."""
        self._pass_time(now)
        if self._opened is None or self._alarm is not None:
            return []
        gone = now - self._opened
        if self._hours.night(self._opened) and gone >= BACK_WITHIN_S:
            reason = "left_at_night"
        elif self._door in self._open and gone >= STANDS_OPEN_S:
            reason = "door_left_open"
        else:
            return []
        if self._heard is None or now - self._heard > HEARD_WITHIN_S:
            self.counts["deaf"] += 1
            self._opened = None
            return []
        self._alarm = self._door
        confidence = SURE if now - self._heard <= AWAKE_S else DEAF
        stands_open = float(self._door in self._open)
        numbers = {"nobody_s": round(gone, 1), "stands_open": stands_open, "confidence": confidence}
        evidence = Evidence(detector="departure", device=self._door, at=now, reason=reason, numbers=numbers)
        kind = AlarmKind.WANDERING
        return [Detection(kind, Priority.MEDIUM, self._opened, self._door, reason, confidence, (evidence,))]

    def _note_door(self, door: str, is_open: bool, now: float) -> None:
        if not is_open:
            self._open.discard(door)
        elif door not in self._open:
            self._open.add(door)
            if self._opened is None or self._alarm is None:
                self._opened, self._door = now, door

    def _somebody(self, now: float) -> list[Detection]:
        if self._opened is None or now - self._opened < PASSING_S:
            return []
        self._opened, alarm, self._alarm = None, self._alarm, None
        if alarm is None:
            return []
        evidence = Evidence(detector="departure", device=alarm, at=now, reason="condition_ended")
        kind, reason = AlarmKind.WANDERING, evidence.reason
        return [Detection(kind, Priority.MEDIUM, now, alarm, reason, 1.0, (evidence,), cleared=True)]

    def _pass_time(self, now: float) -> None:
        """Time in which nobody looked, and steps of the clock, do not count."""
        seen, self._seen = self._seen, now
        if seen is None or 0 <= now - seen <= LONGEST_TICK_GAP_S:
            return
        self.counts["unobserved"] += 1
        if self._opened is not None:
            self._opened += now - seen
        if self._heard is not None:
            self._heard += now - seen

    def state(self) -> dict[str, Any]:
        """All memory."""
        return {
            "v": VERSION,
            "open": sorted(self._open),
            "opened": self._opened,
            "door": self._door,
            "heard": self._heard,
            "seen": self._seen,
            "alarm": self._alarm,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state. Raises ValueError if it is none; then nothing changed."""
        if state.get("v") != VERSION:
            raise ValueError(f"departure: state of version {state.get('v')!r}, this is {VERSION}")
        try:
            times = [None if state[k] is None else finite(state[k]) for k in ("opened", "heard", "seen")]
            is_open, door, alarm = {str(d) for d in state["open"]}, str(state["door"]), state["alarm"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"departure: not a state: {error!r}") from error
        self._opened, self._heard, self._seen = times
        self._open, self._door = is_open & self._doors, door
        self._alarm = None if alarm is None else str(alarm)
