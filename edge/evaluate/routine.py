"""`routine`: false alarms of a home's second half, and how soon it is noticed that everything stopped."""

from __future__ import annotations

import argparse
import bisect
import math
import random
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

from rich.progress import track

from edge.detectors.base import Detection
from edge.detectors.places import leads_outside
from edge.detectors.routine import RoutineDetector, RoutineProfile
from edge.evaluate.ambient import Home, load
from edge.evaluate.report import FormatError, Report
from edge.evaluate.rows import time_zone
from edge.readings import DeviceRole
from protocols.wire import AlarmKind, Priority

NAME = "routine"
HELP = "inactivity in a home: false alarms per 30 days, and time to detection when all events stop"
TICK_S = 60.0
WATCHED_S = 36 * 3600.0
"""A stop not noticed within this time is missed."""
LEFT_S = 600.0
"""A silence of at least this between two events of outside doors is taken for an absence."""
CLOCK_NIGHT = frozenset({23, 0, 1, 2, 3, 4, 5, 6})
CURVE = (1.0, 2.0, 4.0, 8.0, 15.0)

Detector = RoutineDetector
Stops = list[tuple[float, float | None]]


@dataclass(slots=True)
class Run:
    """Detectors being fed one home, event by event, a tick every minute between."""

    detectors: tuple[Detector, ...]
    now: float

    def until(self, time: float) -> Iterator[Detection]:
        """Ticks up to and including `time`."""
        while self.now + TICK_S <= time:
            self.now += TICK_S
            for detector in self.detectors:
                yield from detector.on_tick(self.now)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument(
        "events", type=Path, metavar="EVENTS.csv", help="columns start,end,sensor and type, place if any"
    )
    parser.add_argument(
        "--inject-collapse", type=int, default=0, metavar="N", help="moments after which all events stop"
    )
    parser.add_argument("--zone", default="Asia/Shanghai", help="time zone of the file's times")
    parser.add_argument("--residents", type=int, default=1, help="how many live there")
    parser.add_argument("--pets", action="store_true", help="motion alone is no sign of a person")
    parser.add_argument("--budget", type=float, default=1.0, help="false alarms allowed per 30 days (default 1)")
    parser.add_argument(
        "--curve", action="store_true", help="the same for budgets from 1 to 15: delay against false alarms"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace) -> Report:
    """Score one home. Raises FormatError."""
    zone = time_zone("--zone", options.zone)
    if options.residents < 1 or not 0 < options.budget <= 15 or options.inject_collapse < 0:
        raise FormatError("--residents is at least 1, --budget between 0 and 15, --inject-collapse not negative")
    home = load(options.events, zone)
    profile = RoutineProfile(zone, options.residents, options.pets, options.budget)
    first, last = home.readings[0].at, home.readings[-1].at
    middle = (first + last) / 2
    moments = _moments(home, middle, last, options.inject_collapse, random.Random(options.seed))
    found, stops = _second_half(home, profile, middle, [m for m, away in moments if not away], quiet=options.quiet)
    figures = _figures(found, stops, (last - middle) / 86_400.0, (last - first) / 86_400.0, zone, home, middle)
    figures["moments_away"] = sum(away for _, away in moments)
    figures |= _floor(home, [m for m, away in moments if not away], zone)
    if options.curve:
        figures["curve"] = [_point(home, profile, budget, middle, moments, quiet=options.quiet) for budget in CURVE]
    return Report(figures, _tables(figures))


def _floor(home: Home, moments: Sequence[float], zone: tzinfo) -> dict[str, Any]:
    """How soon the stops could be noticed at best: a detector that never cries while somebody is well cannot alarm
    before the moment at which this home would have been heard again.
    """
    times = [r.at for r in home.readings]
    waits = [(m, times[i] - m) for m in moments if (i := bisect.bisect_right(times, m)) < len(times)]
    hours = [(datetime.fromtimestamp(m, UTC).astimezone(zone).hour, wait) for m, wait in waits]
    return {
        "floor_median_h_awake": _median_h([wait for hour, wait in hours if hour not in CLOCK_NIGHT]),
        "floor_median_h_night": _median_h([wait for hour, wait in hours if hour in CLOCK_NIGHT]),
    }


def _point(
    home: Home,
    profile: RoutineProfile,
    budget: float,
    middle: float,
    moments: Sequence[tuple[float, bool]],
    *,
    quiet: bool,
) -> dict[str, Any]:
    """Delay and false alarms at another budget."""
    other = replace(profile, false_alarms_per_30_days=budget)
    found, stops = _second_half(home, other, middle, [m for m, away in moments if not away], quiet=quiet)
    days = (home.readings[-1].at - middle) / 86_400.0
    figures = _figures(found, stops, days, days, profile.zone, home, middle)
    kept = ("false_alarms", "false_alarms_per_30_days", "median_detection_h_awake", "median_detection_h_night")
    return {"budget": budget} | {name: figures[name] for name in kept}


def _detectors(home: Home, profile: RoutineProfile) -> tuple[Detector, ...]:
    return (RoutineDetector(home.devices, profile),)


def _moments(home: Home, begin: float, end: float, n: int, rng: random.Random) -> list[tuple[float, bool]]:
    """Random moments in time order, each with whether nobody was at home (judged with hindsight: somebody left by an
    outside door and came back by one).
    """
    doors = {d.id for d in home.devices if d.role is DeviceRole.CONTACT and leads_outside(d.id, d.room)}
    times = [r.at for r in home.readings]
    moments = sorted(rng.uniform(begin, end) for _ in range(n))
    return [(m, _away(home, times, doors, m)) for m in moments]


def _away(home: Home, times: Sequence[float], doors: set[str], moment: float) -> bool:
    i = bisect.bisect_right(times, moment)
    if not 0 < i < len(times):
        return False
    before, after = home.readings[i - 1], home.readings[i]
    return before.device in doors and after.device in doors and after.at - before.at >= LEFT_S


def _second_half(
    home: Home, profile: RoutineProfile, middle: float, moments: Sequence[float], *, quiet: bool
) -> tuple[list[Detection], Stops]:
    """Run through all events once; at each moment a copy of the detectors, from their states, goes on in silence."""
    run = Run(_detectors(home, profile), home.readings[0].at)
    found: list[Detection] = []
    stops: Stops = []
    waiting = list(moments)
    for reading in track(home.readings, description="events", transient=True, disable=quiet):
        while waiting and waiting[0] < reading.at:
            moment = waiting.pop(0)
            found += run.until(moment)
            stops.append((moment, _stop(home, profile, run, moment)))
        found += run.until(reading.at)
        for detector in run.detectors:
            found += detector.on_reading(reading, reading.at)
        run.now = max(run.now, reading.at - TICK_S)
    return [d for d in found if d.at >= middle and not d.cleared], stops


def _stop(home: Home, profile: RoutineProfile, run: Run, moment: float) -> float | None:
    """Seconds from `moment`, after which nothing is heard, to the alarm; None if there is none."""
    copy = _detectors(home, profile)
    for new, old in zip(copy, run.detectors, strict=True):
        new.restore(old.state())
    for found in Run(copy, run.now).until(moment + WATCHED_S):
        if _is_alarm(found) and found.kind is AlarmKind.INACTIVITY:
            return max(0.0, found.at - moment)
    return None


def _is_alarm(found: Detection) -> bool:
    return found.priority is not Priority.LOW


def night_hours(home: Home, begin: float, zone: tzinfo) -> set[int]:
    """The eight hours on end in which the first half of the recording has the fewest events: when this home sleeps."""
    heard = Counter(datetime.fromtimestamp(r.at, UTC).astimezone(zone).hour for r in home.readings if r.at < begin)
    first = min(range(24), key=lambda h: (sum(heard[(h + i) % 24] for i in range(8)), abs((h - 23 + 12) % 24 - 12)))
    return {(first + i) % 24 for i in range(8)}


def _figures(
    found: Sequence[Detection], stops: Stops, days: float, whole: float, zone: tzinfo, home: Home, middle: float
) -> dict[str, Any]:
    alarms = [d for d in found if _is_alarm(d)]
    own_night = night_hours(home, middle, zone)
    hours = [(datetime.fromtimestamp(m, UTC).astimezone(zone).hour, t) for m, t in stops]
    return {
        "days": days,
        "days_recorded": whole,
        "false_alarms": len(alarms),
        "false_alarms_per_30_days": len(alarms) * 30 / days if days > 0 else None,
        "false_alarms_by_reason": dict(sorted(Counter(d.reason for d in alarms).items())),
        "notices_per_30_days": (len(found) - len(alarms)) * 30 / days if days > 0 else None,
        "notices_by_reason": dict(sorted(Counter(d.reason for d in found if not _is_alarm(d)).items())),
        "injected": len(stops),
        "detected_share": sum(t is not None for _, t in stops) / len(stops) if stops else None,
        "median_detection_h_awake": _median_h([t for h, t in hours if h not in CLOCK_NIGHT]),
        "median_detection_h_night": _median_h([t for h, t in hours if h in CLOCK_NIGHT]),
        "median_detection_h_awake_own_hours": _median_h([t for h, t in hours if h not in own_night]),
        "median_detection_h_night_own_hours": _median_h([t for h, t in hours if h in own_night]),
        "own_night_hours": sorted(own_night),
        "by_hour": {str(h): _hour([t for hour, t in hours if hour == h]) for h in range(24)},
    }


def _hour(times: Sequence[float | None]) -> dict[str, Any]:
    detected = sum(t is not None for t in times)
    return {"injected": len(times), "detected": detected, "median_detection_h": _median_h(times)}


def _median_h(times: Sequence[float | None]) -> float | None:
    """Median in hours with what was missed counted as longest; None if most were missed or there were none."""
    if not times:
        return None
    middle = statistics.median(math.inf if t is None else t for t in times) / 3600
    return middle if math.isfinite(middle) else None


def _tables(figures: dict[str, Any]) -> list[tuple[str, Sequence[str], Sequence[Sequence[object]]]]:
    plain = [(k, v) for k, v in figures.items() if not isinstance(v, dict | list)]
    reasons = [
        (kind, reason, n) for kind in ("false_alarms", "notices") for reason, n in figures[f"{kind}_by_reason"].items()
    ]
    hours = [(h, f["injected"], f["detected"], f["median_detection_h"]) for h, f in figures["by_hour"].items()]
    curve = [tuple(point.values()) for point in figures.get("curve", [])]
    tables: list[tuple[str, Sequence[str], Sequence[Sequence[object]]]] = [
        ("Inactivity", ("figure", "value"), plain),
        ("Raised without cause", ("kind", "reason", "times"), reasons),
        ("Stops by hour of day", ("hour", "injected", "detected", "median h"), hours),
    ]
    if curve:
        tables.append(("By budget", ("budget", "false alarms", "per 30 days", "awake h", "night h"), curve))
    return tables
