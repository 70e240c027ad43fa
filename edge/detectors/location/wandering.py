"""Wandering: a walk without a goal, seen in the last twenty minutes of a person's way.

All distances, speeds and times are own choice, tried on simulated walks (docs/results/track.json).
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from edge.detectors.base import Detection
from edge.detectors.location.fences import Fence, beyond_m
from edge.detectors.location.fixes import Fix, Fixes, Verdict, fix_of, fix_state
from edge.detectors.location.geometry import Plane
from edge.detectors.location.hours import Hours
from edge.detectors.location.patterns import Pattern, Shape, shape
from edge.readings import Reading
from protocols.wire import AlarmKind, Evidence, Position, Priority

VERSION = 1
WINDOW_S = 1200.0
STEP_M = 15.0
"""Points kept are at least this, and at least twice the accuracy, apart: noise at rest is no way."""
POOR_M = 40.0
"""A fix less accurate than this says nothing of how somebody walks."""
RIDE_M_S = 3.5
LONGEST_GAP_S = 300.0
MOST_POINTS = 240
ENDS_S = 300.0
"""An episode ends when no pattern has been seen for this long."""
OLD_S = 900.0
EPISODES_KEPT = 64

COARSE_M = 12.0
SURE: dict[Pattern, tuple[float, float]] = {
    Pattern.LAPPING: (0.95, 0.95),
    Pattern.PACING: (0.95, 0.64),
    Pattern.RANDOM: (0.8, 0.3),
}
"""How often such a walk is one without a goal: by fixes better than `COARSE_M` (median), and by coarser ones. From the
walks of docs/results/track.json, at ten errands to one walk without a goal (own choice): of twenty errands seen to
15 m, four look random and one like pacing; of forty seen to 10 m or better, one looks random.
"""

Told = Literal["off", "outside", "always"]
"""Where an episode is an alarm by day; at night it is one everywhere unless `off`."""


@dataclass(slots=True)
class Episode:
    """One wandering episode; `end` is when the pattern was last seen. `patterns` counts how often each was seen."""

    start: float
    end: float
    patterns: Counter[str]
    alarmed: bool = False

    @property
    def pattern(self) -> str:
        """The one seen most."""
        return max(sorted(self.patterns), key=lambda p: self.patterns[p])


class WanderingDetector:
    """One device. Without fences nobody is outside of them.

    `episodes` are the newest, an open one last. `counts`: fixes left out (late, ahead, jump, poor, old) and `rides`.
    """

    def __init__(self, device: str, told: Told, hours: Hours, fences: Iterable[Fence]) -> None:
        self._device = device
        self._told = told
        self._hours = hours
        self._fences = tuple(fences)
        self._fixes = Fixes()
        self._way: deque[Fix] = deque(maxlen=MOST_POINTS)
        self._heard = float("-inf")
        self._alarm = False
        self.episodes: deque[Episode] = deque(maxlen=EPISODES_KEPT)
        self.counts = self._fixes.counts

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; anything but latitude, longitude, accuracy and speed is ignored."""
        fix = self._fixes.take(reading, now)
        return [] if fix is None else self._on_fix(fix, now)

    def on_tick(self, now: float) -> list[Detection]:
        """A fix is judged when its parts have had time to come; an episode ends by silence, too."""
        fix = self._fixes.settle(now)
        if fix is not None:
            return self._on_fix(fix, now)
        if self._alarm and self._heard + LONGEST_GAP_S + ENDS_S < now:
            return self._ended(now)
        return []

    def _on_fix(self, fix: Fix, now: float) -> list[Detection]:
        verdict = self._fixes.judge(fix, now)
        if verdict in (Verdict.LATE, Verdict.AHEAD):
            return []
        if now - fix.at > OLD_S:
            self.counts["old"] += 1
            return []
        self._heard = now
        if verdict in (Verdict.JUMP, Verdict.TIME_SET_BACK):
            self._way.clear()
        if fix.accuracy_m > POOR_M:
            self.counts["poor"] += 1
        elif self._step(fix):
            return self._look(fix)
        return self._ended(fix.at) if self._alarm and fix.at - self.episodes[-1].end > ENDS_S else []

    def _step(self, fix: Fix) -> bool:
        """Whether a fix is a new point of the way."""
        if self._way:
            last = self._way[-1]
            away, passed = fix.metres_to(last), fix.at - last.at
            if away < max(STEP_M, 2 * fix.accuracy_m):
                return False
            riding = fix.speed is not None and fix.speed > RIDE_M_S
            if riding or away / max(passed, 1.0) > RIDE_M_S:
                self.counts["rides"] += 1
                self._way.clear()
            elif passed > LONGEST_GAP_S:
                self._way.clear()
        self._way.append(fix)
        while fix.at - self._way[0].at > WINDOW_S:
            self._way.popleft()
        return len(self._way) > 4

    def _look(self, fix: Fix) -> list[Detection]:
        plane = Plane(self._way[0].lat, self._way[0].lon)
        points = [plane.at(f.lat, f.lon) for f in self._way]
        accuracy = statistics.median(f.accuracy_m for f in self._way)
        seen = shape([f.at for f in self._way], points, max(STEP_M, 1.5 * accuracy))
        if seen.pattern is Pattern.DIRECT:
            return self._ended(fix.at) if self._alarm and fix.at - self.episodes[-1].end > ENDS_S else []
        episode = self.episodes[-1] if self.episodes else None
        if episode is None or not 0 <= fix.at - episode.end <= ENDS_S:
            # What was walked before the window showed the pattern belongs to the episode.
            episode = Episode(max(self._way[0].at, episode.end if episode else -math.inf), fix.at, Counter())
            self.episodes.append(episode)
        episode.end = fix.at
        episode.patterns[seen.pattern] += 1
        if episode.alarmed or not self._tells(fix):
            return []
        episode.alarmed = self._alarm = True
        return [self._detection(fix, seen, SURE[seen.pattern][accuracy > COARSE_M])]

    def _tells(self, fix: Fix) -> bool:
        if self._told == "off":
            return False
        return self._told == "always" or self._hours.night(fix.at) or self._outside(fix)

    def _outside(self, fix: Fix) -> bool:
        beyond = beyond_m(self._fences, fix.lat, fix.lon, night=self._hours.night(fix.at))
        return beyond is not None and beyond > fix.accuracy_m

    def _detection(self, fix: Fix, seen: Shape, confidence: float) -> Detection:
        night = self._hours.night(fix.at)
        numbers = {
            "way_m": round(seen.way_m, 1),
            "minutes": round(seen.seconds / 60, 1),
            "straightness": round(seen.straightness, 3),
            "reversals": float(seen.reversals),
            "bends": float(seen.bends),
            "laps": round(abs(seen.laps), 2),
            "night": float(night),
            "confidence": confidence,
        }
        reason = f"wandering_{seen.pattern}"
        evidence = Evidence(detector="wandering", device=self._device, at=fix.at, reason=reason, numbers=numbers)
        position = Position(lat=fix.lat, lon=fix.lon, accuracy_m=fix.accuracy_m, at=fix.at)
        priority = Priority.HIGH if night else Priority.MEDIUM
        kind = AlarmKind.WANDERING
        return Detection(kind, priority, fix.at, self._device, reason, confidence, (evidence,), position=position)

    def _ended(self, at: float) -> list[Detection]:
        self._alarm = False
        evidence = Evidence(detector="wandering", device=self._device, at=at, reason="condition_ended")
        kind, reason = AlarmKind.WANDERING, evidence.reason
        return [Detection(kind, Priority.MEDIUM, at, self._device, reason, 1.0, (evidence,), cleared=True)]

    def state(self) -> dict[str, Any]:
        """The way of the last twenty minutes and the last episode: under 20 KB."""
        last = self.episodes[-1] if self.episodes else None
        return {
            "v": VERSION,
            "fixes": self._fixes.state(),
            "way": [fix_state(f) for f in self._way],
            "heard": self._heard if math.isfinite(self._heard) else None,
            "alarm": self._alarm,
            "episode": None if last is None else [last.start, last.end, dict(last.patterns), last.alarmed],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state. Raises ValueError if it is none; then nothing changed."""
        if state.get("v") != VERSION:
            raise ValueError(f"wandering: state of version {state.get('v')!r}, this is {VERSION}")
        try:
            fixes = Fixes(counts=self.counts)
            fixes.restore(state["fixes"])
            way = [fix_of(f) for f in state["way"]][-MOST_POINTS:]
            heard = -math.inf if state["heard"] is None else float(state["heard"])
            episodes = [] if state["episode"] is None else [_episode(state["episode"])]
            alarm = bool(state["alarm"]) and bool(episodes)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"wandering: not a state: {error!r}") from error
        self._fixes, self._way, self._heard = fixes, deque(way, maxlen=MOST_POINTS), heard
        self.episodes, self._alarm = deque(episodes, maxlen=EPISODES_KEPT), alarm


def _episode(state: list[Any]) -> Episode:
    start, end, patterns, alarmed = state
    seen = Counter({Pattern(p).value: int(n) for p, n in patterns.items()})
    if not seen:
        raise ValueError("an episode without a pattern")
    return Episode(float(start), float(end), seen, bool(alarmed))
