"""Vital signs measured now and then, and slow change: weight, blood pressure, glucose, temperature, and not being well.

Theory of operation. Values that are no artefact go into a short list (spot metrics, last eight days) and into the
person's Baseline. Rules look at the list, each with its published limit; each rule has a state, so that it speaks once
and again only after a limit of its own (hysteresis). Nothing is cleared: the same device may hold an alarm of NEWS2.
Rules about a single value want a second value that agrees. Notices are of low priority; only a value that is dangerous
by itself is more. Where nobody said whose a device is, only such values are judged: two people on one scale have no
trend.

Confidence: how likely the figure truly lies beyond the limit, given what a home device errs by (`LEAST_SPREAD`); two
values that agree, and the many of a week, err less. Of a baseline: how many days it rests on.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from edge.detectors.artefacts import SOUND, Artefacts
from edge.detectors.base import Detection
from edge.detectors.baseline import QUARTERS, Baseline
from edge.detectors.certainty import beyond, unlike
from edge.detectors.trend_limits import (
    AGREE_S,
    FEVER_LEAST,
    FEVER_RISE,
    FLUID_DAYS,
    LEAST_DAYS,
    LEAST_VALUES,
    LIMITS,
    OTHER_PERSON_KG,
    WEEK_DAYS,
    reason_of,
)
from edge.readings import Reading
from protocols.wire import AlarmKind, Evidence, Priority

VERSION = 1
DAY_S = 86_400.0
LEAST_SPREAD = {
    "heart_rate": 2.5,
    "respiration_rate": 1.0,
    "spo2": 0.7,
    "systolic": 5.0,
    "diastolic": 3.0,
    "body_temperature": 0.12,
    "glucose": 0.5,
    "weight": 0.4,
}
"""Spread of a person's daily figure below which a difference is none. Own choice: about the error of a home device, so
that a person who never varies is not told of a rounding.
"""
_SPOT = ("weight", "systolic", "diastolic", "glucose", "body_temperature")
_KEPT_S, _MOST_KEPT = 8 * DAY_S, 256

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Found:
    """What one rule finds: the figure it is about, by how much that which it judges is beyond the limit (below 0: not
    beyond), and by how much that errs.
    """

    name: str
    wrong: bool
    figure: float
    margin: float
    error: float


class TrendDetector:
    """Trends of one resident. Reasons and limits: edge.detectors.trend_limits, and `not_well_lately` (CUSUM of a
    baseline). With `one_person` False there are neither trends nor baselines. `counts`: artefacts, `other_person`,
    `late`.
    """

    def __init__(self, zone: tzinfo, *, one_person: bool = True) -> None:
        self._zone = zone
        self._one_person = one_person
        self._artefacts = Artefacts()
        self._baselines = {metric: Baseline(spread) for metric, spread in LEAST_SPREAD.items()}
        self._points: dict[str, list[tuple[float, float]]] = {metric: [] for metric in _SPOT}
        self._holding: dict[str, str] = {}
        self.counts: Counter[str] = Counter()

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; what is no vital sign is ignored."""
        metric = reading.metric
        if metric not in SOUND:
            self._artefacts.note(reading)
            return []
        refused = self._artefacts.judge(reading, now)
        if refused is not None or isinstance(reading.value, bool | str):
            self.counts[refused.value if refused is not None else "not_a_number"] += 1
            return []
        value, at = float(reading.value), min(reading.at, now)
        if metric in _SPOT and not self._take(metric, value, at):
            return []
        local = datetime.fromtimestamp(at, UTC).astimezone(self._zone)
        drift = self._baselines[metric].add(value, local.toordinal(), local.hour) if self._one_person else None
        found = [] if drift is None else [self._drift(reading, at, drift)]
        for rule in self._rules(metric, at, local.hour * QUARTERS // 24):
            found += self._judge(rule, reading, at)
        return found

    def _take(self, metric: str, value: float, at: float) -> bool:
        points = self._points[metric]
        if points and at > points[-1][0] + 40 * DAY_S:
            points.clear()
        if points and at < points[-1][0]:
            self.counts["late"] += 1
            if points[-1][0] - at < _KEPT_S:
                return False
            points.clear()  # the clock was years ahead
        if metric == "weight" and points:
            usual = statistics.median(v for _, v in points)
            if abs(value - usual) > OTHER_PERSON_KG:
                self.counts["other_person"] += 1
                return False
        points.append((at, value))
        self._points[metric] = [p for p in points if p[0] > at - _KEPT_S][-_MOST_KEPT:]
        return True

    def _rules(self, metric: str, at: float, quarter: int) -> list[_Found]:
        points = self._points.get(metric, [])
        if not points:
            return []
        low, high = _agreed(points, at, AGREE_S.get(metric, 0.0))
        last, error = points[-1][1], LEAST_SPREAD[metric] / math.sqrt(2.0)
        found: list[_Found] = []

        def below(name: str) -> None:
            margin = LIMITS[name].limit - high
            found.append(_Found(name, margin > 0, last, margin, error))

        def above(name: str, limit: float, *, at_it: bool = False) -> None:
            margin = low - limit
            found.append(_Found(name, margin > 0 or (at_it and margin == 0), last, margin, error))

        if metric == "glucose":
            below("glucose_very_low")
            below("glucose_low")
            above("glucose_high", LIMITS["glucose_high"].limit)
        elif metric == "body_temperature":
            above("fever", self._fever(quarter))
            below("hypothermia")
        elif metric in ("systolic", "diastolic"):
            name = "pressure_very_high" if metric == "systolic" else "diastolic_very_high"
            above(name, LIMITS[name].limit, at_it=True)
        return found + (self._over_days(metric, points, at) if self._one_person else [])

    def _fever(self, quarter: int) -> float:
        usual = self._baselines["body_temperature"].usual(quarter)
        limit = LIMITS["fever"].limit
        return limit if usual is None else min(limit, max(FEVER_LEAST, usual[0] + FEVER_RISE))

    @staticmethod
    def _over_days(metric: str, points: Points, at: float) -> list[_Found]:
        """The rules about days, which want one person's values."""
        if metric == "weight":
            gain = points[-1][1] - min(v for t, v in points if t >= at - FLUID_DAYS * DAY_S - 3600)
            margin, error = gain - LIMITS["fluid_gain"].limit, LEAST_SPREAD[metric] * math.sqrt(2.0)
            return [_Found("fluid_gain", margin > 0, gain, margin, error)]
        if metric not in ("systolic", "diastolic"):
            return []
        week = [(t, v) for t, v in points if t > at - WEEK_DAYS * DAY_S]
        values = [v for _, v in week]
        enough = len({int(t // DAY_S) for t, _ in week}) >= LEAST_DAYS and len(week) >= LEAST_VALUES
        mean = statistics.fmean(values)
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        error = max(spread, LEAST_SPREAD[metric]) / math.sqrt(len(values))
        high = "diastolic_high" if metric == "diastolic" else "pressure_high"
        over = mean - LIMITS[high].limit
        found = [_Found(high, enough and over >= 0, mean, over, error)]
        if metric == "systolic":
            under = LIMITS["pressure_low"].limit - mean
            found.append(_Found("pressure_low", enough and under > 0, mean, under, error))
        return found

    def _judge(self, rule: _Found, reading: Reading, at: float) -> list[Detection]:
        limit, name, figure = LIMITS[rule.name], rule.name, rule.figure
        if rule.wrong and name not in self._holding:
            self._holding[name] = reading.device
            sure, numbers = beyond(rule.margin, rule.error), {"value": round(figure, 2)}
            return [_detection(reason_of(name), limit.priority, reading.device, at, numbers, sure)]
        well = figure >= limit.well if limit.well > limit.limit else figure < limit.well
        if not rule.wrong and well:
            self._holding.pop(name, None)
        return []

    def _drift(self, reading: Reading, at: float, drift: float) -> Detection:
        baseline = self._baselines[reading.metric]
        numbers = {"cusum": round(drift, 2), "days_known": float(baseline.days)}
        numbers[f"drift_{reading.metric}"] = 1.0
        return _detection("not_well_lately", Priority.LOW, reading.device, at, numbers, unlike(baseline.days))

    def state(self) -> dict[str, Any]:
        """All memory, as plain values."""
        return {
            "v": VERSION,
            "artefacts": self._artefacts.state(),
            "baselines": {metric: b.state() for metric, b in self._baselines.items()},
            "points": {metric: [list(p) for p in points] for metric, points in self._points.items()},
            "holding": dict(sorted(self._holding.items())),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state. Raises ValueError if it is none; then nothing changed."""
        if state.get("v") != VERSION:
            raise ValueError(f"trends: state of version {state.get('v')!r}, this is {VERSION}")
        fresh = TrendDetector(self._zone, one_person=self._one_person)
        try:
            fresh._artefacts.restore(state["artefacts"])
            for metric, known in state["baselines"].items():
                if metric in fresh._baselines:
                    fresh._baselines[metric].restore(known)
            for metric in _SPOT:
                fresh._points[metric] = [(float(t), float(v)) for t, v in state["points"].get(metric, [])]
            fresh._holding = {str(r): str(d) for r, d in state["holding"].items() if r in LIMITS}
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"trends: not a state: {error!r}") from error
        self._artefacts, self._baselines = fresh._artefacts, fresh._baselines
        self._points, self._holding = fresh._points, fresh._holding


def _agreed(points: Points, at: float, within_s: float) -> tuple[float, float]:
    """Lower and higher of the last two values when they are close in time; with one alone nothing is agreed."""
    if len(points) < 2 or at - points[-2][0] > within_s:
        return float("-inf"), float("inf")
    return min(points[-1][1], points[-2][1]), max(points[-1][1], points[-2][1])


def _detection(
    reason: str, priority: Priority, device: str, at: float, numbers: dict[str, float], sure: float
) -> Detection:
    numbers["confidence"] = sure = round(sure, 3)
    evidence = Evidence(detector="trends", device=device, at=at, reason=reason, numbers=numbers)
    return Detection(AlarmKind.VITALS, priority, at, device, reason, sure, (evidence,))
