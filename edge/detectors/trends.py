"""Vital signs measured now and then, and slow change: weight, blood pressure, glucose, temperature, and not being well.

Theory of operation. Values that are no artefact go into a short list (spot metrics, last eight days) and into the
person's Baseline. Rules look at the list, each with its published limit; each rule has a state, so that it speaks once
and again only after a limit of its own (hysteresis). Nothing is cleared: the same device may hold an alarm of NEWS2.
Rules about a single value want a second value that agrees. Notices are of low priority; only a value that is dangerous
by itself is more.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from edge.detectors.artefacts import SOUND, Artefacts
from edge.detectors.base import Detection
from edge.detectors.baseline import QUARTERS, Baseline
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
"""Spread of a person's daily figure below which a difference is none."""
_SPOT = ("weight", "systolic", "diastolic", "glucose", "body_temperature")
_KEPT_S, _MOST_KEPT = 8 * DAY_S, 256
_AGREE_S = {"glucose": 1_800.0, "body_temperature": 6 * 3600.0, "systolic": 1_800.0}
FLUID_GAIN_KG, FLUID_DAYS = 1.5, 3.0
"""Gain that suggests fluid in heart failure (asked for in three days; ESC 2021 says more than 2 kg)."""
OTHER_PERSON_KG = 8.0
"""A weight this far from the last days' is somebody else's on the same scale."""
_WELL = {"fluid_gain": 1.0, "glucose_low": 4.4, "glucose_very_low": 3.9, "glucose_high": 12.0, "fever": 37.4}
_WELL |= {"pressure_high": 130.0, "pressure_very_high": 165.0, "pressure_low": 105.0, "hypothermia": 35.5}
_PRIORITY = {"glucose_low": Priority.MEDIUM, "glucose_very_low": Priority.HIGH, "pressure_very_high": Priority.MEDIUM}
_PRIORITY |= {"hypothermia": Priority.MEDIUM}

Points = Sequence[tuple[float, float]]


class TrendDetector:
    """Trends of one resident. Reasons: `fluid_gain`, `pressure_high` (seven days' mean, home limit 135 mmHg, ESH
    2023), `pressure_very_high` (180 twice), `pressure_low`, `glucose_low` (3.9 mmol/l), `glucose_very_low` (3.0),
    `glucose_high` (13.9; ADA), `fever` (37.8 °C, or 1.1 above the own baseline; IDSA 2008 for elders), `hypothermia`
    (35.0), and `not_well_lately` (CUSUM of a baseline). `counts`: artefacts, `other_person`, `late`.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
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
        drift = self._baselines[metric].add(value, local.toordinal(), local.hour)
        found = [] if drift is None else [self._drift(reading, at, drift)]
        for reason, wrong, figure in self._rules(metric, at, local.hour * QUARTERS // 24):
            found += self._judge(reason, wrong, figure, reading, at)
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

    def _rules(self, metric: str, at: float, quarter: int) -> list[tuple[str, bool, float]]:
        """(reason, whether its limit is passed, the figure it is about)."""
        points = self._points.get(metric, [])
        if metric == "weight":
            lowest = min(v for t, v in points if t >= at - FLUID_DAYS * DAY_S - 3600)
            gain = points[-1][1] - lowest
            return [("fluid_gain", gain > FLUID_GAIN_KG, gain)]
        if metric == "glucose":
            low, high = _agreed(points, at, _AGREE_S[metric])
            return [
                ("glucose_very_low", high < 3.0, points[-1][1]),
                ("glucose_low", high < 3.9, points[-1][1]),
                ("glucose_high", low > 13.9, points[-1][1]),
            ]
        if metric == "body_temperature":
            low, high = _agreed(points, at, _AGREE_S[metric])
            usual = self._baselines[metric].usual(quarter)
            limit = 37.8 if usual is None else min(37.8, max(37.2, usual[0] + 1.1))
            return [("fever", low > limit, points[-1][1]), ("hypothermia", high < 35.0, points[-1][1])]
        if metric == "systolic":
            low, _ = _agreed(points, at, _AGREE_S[metric])
            week = [v for t, v in points if t > at - 7 * DAY_S]
            days = len({int(t // DAY_S) for t, _ in points if t > at - 7 * DAY_S})
            mean = statistics.fmean(week)
            return [
                ("pressure_very_high", low >= 180, points[-1][1]),
                ("pressure_high", days >= 3 and len(week) >= 6 and mean >= 135, mean),
                ("pressure_low", days >= 3 and len(week) >= 6 and mean < 100, mean),
            ]
        return []

    def _judge(self, reason: str, wrong: bool, figure: float, reading: Reading, at: float) -> list[Detection]:
        if wrong and reason not in self._holding:
            self._holding[reason] = reading.device
            priority = _PRIORITY.get(reason, Priority.LOW)
            return [_detection(reason, priority, reading.device, at, {"value": round(figure, 2)})]
        well = figure >= _WELL[reason] if reason.endswith("low") or reason == "hypothermia" else figure < _WELL[reason]
        if not wrong and well:
            self._holding.pop(reason, None)
        return []

    def _drift(self, reading: Reading, at: float, drift: float) -> Detection:
        baseline = self._baselines[reading.metric]
        numbers = {"cusum": round(drift, 2), "days_known": float(baseline.days)}
        numbers[f"drift_{reading.metric}"] = 1.0
        return _detection("not_well_lately", Priority.LOW, reading.device, at, numbers)

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
        fresh = TrendDetector(self._zone)
        try:
            fresh._artefacts.restore(state["artefacts"])
            for metric, known in state["baselines"].items():
                if metric in fresh._baselines:
                    fresh._baselines[metric].restore(known)
            for metric in _SPOT:
                fresh._points[metric] = [(float(t), float(v)) for t, v in state["points"].get(metric, [])]
            fresh._holding = {str(r): str(d) for r, d in state["holding"].items() if r in _WELL}
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"trends: not a state: {error!r}") from error
        self._artefacts, self._baselines = fresh._artefacts, fresh._baselines
        self._points, self._holding = fresh._points, fresh._holding


def _agreed(points: Points, at: float, within_s: float) -> tuple[float, float]:
    """Lower and higher of the last two values when they are close in time; with one alone nothing is agreed."""
    if len(points) < 2 or at - points[-2][0] > within_s:
        return float("-inf"), float("inf")
    return min(points[-1][1], points[-2][1]), max(points[-1][1], points[-2][1])


def _detection(reason: str, priority: Priority, device: str, at: float, numbers: dict[str, float]) -> Detection:
    evidence = Evidence(detector="trends", device=device, at=at, reason=reason, numbers=numbers)
    return Detection(AlarmKind.VITALS, priority, at, device, reason, 0.8, (evidence,))
