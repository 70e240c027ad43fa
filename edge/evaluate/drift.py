"""`anju-evaluate drift`: false notices and delay of "not well lately", of declining habits and of fluid gain, on
simulated people; and how far the days of recorded homes are correlated, which decides what the simulation is to assume.

Theory of operation. A person has a usual figure; the days wander around it with a correlation from day to day, and the
quarters of a day around their day. Well people are followed for years: every signal is a false one. In ill people the
figure shifts by so many standard deviations of a day after two months and stays there. The very Baseline of the gateway
is used. Habits are one figure a day of which only one direction is told. `textbook` is
the average run length of a two-sided CUSUM with known centre and spread (Brook and Evans 1972, Biometrika 59:539), to
show how far practice is from it.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from rich.progress import track

from edge.detectors.baseline import ALLOWANCE, DECISION, QUARTERS, Baseline
from edge.detectors.habits import HabitsDetector
from edge.detectors.trends import DAY_S, TrendDetector
from edge.evaluate.ambient import Home, load
from edge.evaluate.report import FormatError, Report
from edge.evaluate.rows import time_zone
from edge.readings import Reading

NAME = "drift"
HELP = "simulated people: false notices a year and days to notice of the personal baselines, and of fluid gain"

DECISIONS = (4.0, 5.0, 6.0, 7.0, 8.0, 10.0)
CORRELATIONS = (0.0, 0.3)
SHIFTS = (1.0, 1.5, 2.0, 3.0)
HABIT_CORRELATIONS = (0.0, 0.3, 0.5)
_QUARTER_SD = 0.7
"""Spread of a quarter around its day, in standard deviations of the day."""
_LEARNING_DAYS = 60
_LONGEST_DAYS = 60
_YEAR = 365
_DAILY_KG = 0.37
"""Spread of a daily weight around its mean: 32 % of the changes from day to day reach 0.5 kg and 6 % reach 1 kg
(Robinson and Watson 1965, Br J Nutr 19:225; from memory, not re-read), which a difference of two such weights gives."""
_TICK_S = 300.0


@dataclass(frozen=True, slots=True)
class Kind:
    """How often somebody is measured: the figures of a day, and the correlation from day to day."""

    quarters: int
    correlation: float

    @property
    def name(self) -> str:
        """As in the results."""
        return f"{self.quarters} a day, correlation {self.correlation:g}"


KINDS = tuple(Kind(quarters, c) for quarters in (1, QUARTERS) for c in CORRELATIONS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How many people."""
    parser.add_argument("--people", type=int, default=40, help="simulated for each line (default 40)")
    parser.add_argument("--years", type=int, default=2, help="for which each well person is followed (default 2)")
    parser.add_argument(
        "--events", type=Path, action="append", default=[], help="of a home, as `routine` reads them; may be repeated"
    )
    parser.add_argument("--zone", default="Asia/Shanghai", help="time zone of the events' times")


def run(options: argparse.Namespace) -> Report:
    """The figures for every decision interval, and those of the one in use. Raises FormatError."""
    if options.people < 1 or options.years < 1:
        raise FormatError("drift: --people and --years are at least 1")
    recorded = _recorded(options)  # what is wrong with the files is said at once
    lines: dict[str, Any] = {}
    todo = [(kind, decision) for kind in KINDS for decision in DECISIONS]
    for kind, decision in track(todo, description="drift", transient=True):
        lines.setdefault(kind.name, {})[f"{decision:g}"] = _line(kind, decision, options)
    figures = {
        "people": options.people,
        "years": options.years,
        "seed": options.seed,
        "reference_value": ALLOWANCE,
        "decision_interval_in_use": DECISION,
        "textbook_run_length_days": {f"{d:g}": round(run_length(ALLOWANCE, d), 1) for d in DECISIONS},
        "simulated": lines,
        "habits": _habits(options),
        "recorded_days": recorded,
        "fluid_gain_false_notices_per_year": fluid_gain(options.people, options.years, options.seed),
    }
    return Report(figures, [_table("Not well lately", lines), _table("Habits", figures["habits"]), _homes(figures)])


def _line(kind: Kind, decision: float, options: argparse.Namespace, *, one_sided: bool = False) -> dict[str, Any]:
    false, years = 0, 0.0
    delays: dict[float, list[int | None]] = {shift: [] for shift in SHIFTS}
    for person in range(options.people):
        rng = random.Random(f"{options.seed}/{person}/{kind.name}")
        signals = _signals(kind, decision, rng, options.years * _YEAR)
        false += sum(signal > 0 or not one_sided for signal in signals)
        years += options.years
        for shift in SHIFTS:
            rng = random.Random(f"{options.seed}/{person}/{kind.name}/{shift}")
            delays[shift].append(_delay(kind, decision, rng, shift))
    found = {shift: [d for d in days if d is not None] for shift, days in delays.items()}
    return {
        "false_notices_per_year": round(false / years, 3),
        "found_share": {f"{s:g}": round(len(found[s]) / len(delays[s]), 3) for s in SHIFTS},
        "days_to_notice_median": {f"{s:g}": statistics.median(found[s]) if found[s] else None for s in SHIFTS},
    }


def _habits(options: argparse.Namespace) -> dict[str, Any]:
    """For one daily figure, told in one direction."""
    lines: dict[str, Any] = {}
    for correlation in HABIT_CORRELATIONS:
        kind = Kind(1, correlation)
        lines[kind.name] = {f"{d:g}": _line(kind, d, options, one_sided=True) for d in DECISIONS}
    return lines


def _recorded(options: argparse.Namespace) -> dict[str, Any]:
    """Correlation from day to day of the figures that habits count, by file. Raises FormatError, OSError."""
    zone = time_zone("--zone", options.zone)
    return {path.stem: correlations(load(path, zone), zone) for path in options.events}


def correlations(home: Home, zone: tzinfo) -> dict[str, dict[str, float | int | None]]:
    """Of the last 42 whole days: for each figure the days, and the lag-one autocorrelation of those that follow each
    other.
    """
    detector, now = HabitsDetector(home.devices, zone), home.readings[0].at
    for reading in home.readings:
        while now + _TICK_S < reading.at:
            now += _TICK_S
            detector.on_tick(now)
        now = max(now, reading.at)
        detector.on_reading(reading, now)
    found = {}
    for name, state in detector.state()["baselines"].items():
        days = {day: float(figures[0]) for day, figures in state["days"] if figures[0] is not None}
        found[name] = {"days": len(days), "correlation": _autocorrelation(days)}
    return found


def _autocorrelation(days: dict[int, float]) -> float | None:
    if len(days) < 3:
        return None
    mean = statistics.fmean(days.values())
    square = statistics.fmean((v - mean) ** 2 for v in days.values())
    pairs = [(v - mean) * (days[day + 1] - mean) for day, v in days.items() if day + 1 in days]
    return round(statistics.fmean(pairs) / square, 3) if pairs and square > 0 else None


def _days(kind: Kind, rng: random.Random, shifted_from: int, shift: float) -> Iterator[tuple[int, int, float]]:
    """(day, hour, value) without end; a value has mean 0, and spread 1 from day to day."""
    level, day = rng.gauss(0, 1), 0
    while True:
        level = kind.correlation * level + (1 - kind.correlation**2) ** 0.5 * rng.gauss(0, 1)
        for quarter in range(kind.quarters):
            own = rng.gauss(0, _QUARTER_SD) if kind.quarters > 1 else 0.0
            yield day, quarter * 24 // QUARTERS, level + own + (shift if day >= shifted_from else 0.0)
        day += 1


def _signals(kind: Kind, decision: float, rng: random.Random, days: int) -> list[float]:
    baseline, found = Baseline(0.05, decision), []
    for day, hour, value in _days(kind, rng, days, 0.0):
        if day >= days:
            break
        if (signal := baseline.add(value, day, hour)) is not None:
            found.append(signal)
    return found


def _delay(kind: Kind, decision: float, rng: random.Random, shift: float) -> int | None:
    """Days from the shift to the end of the day that shows it; a signal before it is a false one, and not counted."""
    baseline = Baseline(0.05, decision)
    for day, hour, value in _days(kind, rng, _LEARNING_DAYS, shift):
        signal = baseline.add(value, day, hour)
        if day > _LEARNING_DAYS and signal is not None and signal > 0:
            return day - _LEARNING_DAYS
        if day > _LEARNING_DAYS + _LONGEST_DAYS:
            return None
    raise AssertionError("days have no end")


def run_length(allowance: float, decision: float, states: int = 150) -> float:
    """Average run length of a two-sided CUSUM of independent standard normal figures (half of the one-sided one), by a
    Markov chain of `states` states.
    """
    width = 2 * decision / (2 * states - 1)
    i, j = np.meshgrid(np.arange(states), np.arange(states), indexing="ij")
    edges = (j - i) * width + allowance
    normal = np.vectorize(statistics.NormalDist().cdf)
    upper = normal(edges + width / 2)
    chain = upper - normal(edges - width / 2)
    chain[:, 0] = upper[:, 0]
    lengths = np.linalg.solve(np.eye(states) - chain, np.ones(states))
    return float(lengths[0]) / 2


def fluid_gain(people: int, years: int, seed: int) -> float:
    """Notices of fluid gain a year in people who weigh themselves every morning and are well."""
    found = 0
    for person in range(people):
        rng, detector = random.Random(f"{seed}/{person}/weight"), TrendDetector(ZoneInfo("UTC"))
        for day in range(years * _YEAR):
            reading = Reading("scale", "weight", day * DAY_S, 70 + rng.gauss(0, _DAILY_KG))
            found += sum(d.reason == "fluid_gain" for d in detector.on_reading(reading, reading.at))
    return round(found / people / years, 3)


def _homes(figures: dict[str, Any]) -> tuple[str, list[str], list[list[object]]]:
    rows = [
        [home, name, of["days"], of["correlation"]]
        for home, found in figures["recorded_days"].items()
        for name, of in found.items()
    ]
    return "Recorded homes", ["home", "figure", "days", "correlation"], rows


def _table(title: str, lines: dict[str, Any]) -> tuple[str, list[str], list[list[object]]]:
    header = ["figures", "decision", "false a year", *(f"days to {s:g} sd" for s in SHIFTS)]
    rows = [
        [name, decision, line["false_notices_per_year"], *line["days_to_notice_median"].values()]
        for name, of in lines.items()
        for decision, line in of.items()
    ]
    return title, header, rows
