"""`anju-evaluate vitals`: alarms of the vitals detector on 1 Hz numerics and on charted stays."""

from __future__ import annotations

import argparse
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from edge.detectors.base import Detection
from edge.detectors.news2 import Sign
from edge.detectors.vitals import SPOT_MAX_AGE_S, VitalsDetector
from edge.evaluate.report import FormatError, Report
from edge.evaluate.rows import EARLIEST_S, LATEST_S, flag, number, read_rows
from edge.readings import Reading
from protocols.metrics import Value
from protocols.wire import Priority

NAME = "vitals"
HELP = "alarms per patient-day on 1 Hz numerics or charted stays; with --truth the AUC of the last 24 h against death"

NUMERICS = {"HR": "heart_rate", "RESP": "respiration_rate", "SpO2": "spo2"}
CHARTED = {
    "HR": ("monitor", "heart_rate"),
    "RespRate": ("monitor", "respiration_rate"),
    "SaO2": ("laboratory", "spo2"),
    "SysABP": ("arterial", "systolic"),
    "DiasABP": ("arterial", "diastolic"),
    "NISysABP": ("cuff", "systolic"),
    "NIDiasABP": ("cuff", "diastolic"),
    "Temp": ("thermometer", "body_temperature"),
    "GCS": ("nurse", "consciousness"),
    "FiO2": ("ventilator", "oxygen_therapy"),
    "MechVent": ("ventilator", "oxygen_therapy"),
}
"""Charted parameter → device and metric. Below 15 on the Glasgow scale is not alert; more than 21 % is oxygen."""
_SIGN_OF = {
    "heart_rate": Sign.PULSE,
    "respiration_rate": Sign.RESPIRATION,
    "spo2": Sign.SPO2,
    "systolic": Sign.SYSTOLIC,
}
_SIGN_OF |= {"diastolic": Sign.SYSTOLIC, "body_temperature": Sign.TEMPERATURE}
_DAY_S = 86_400.0
_SCORED_EVERY_S = 3_600.0
NEAR_S = 60.0
"""An alarm is taken for an artefact when a value of a sign that scores was refused this close to it, before or after;
or when the pulse of the oximeter is more than a fifth away from the heart rate that scores."""
_PULSES_APART = 0.2


@dataclass(slots=True)
class _Stay:
    """One patient: the detector, and what happened."""

    detector: VitalsDetector
    last: float
    scored_at: float
    watched_s: float = 0.0
    refused: dict[Sign, list[float]] = field(default_factory=dict)
    alarms: list[Detection] = field(default_factory=list)
    scores: list[tuple[float, int, int]] = field(default_factory=list)
    pulses: list[tuple[float, float]] = field(default_factory=list)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The recordings and, for charted stays, what became of the patients."""
    parser.add_argument("file", type=Path, help=".csv or .parquet: t_s,HR,RESP,SpO2,rec or rid,min,p,v")
    parser.add_argument("--truth", type=Path, help="CSV with rid,died")


def run(options: argparse.Namespace) -> Report:
    """Each patient has a detector of their own, which hears the readings in order of time (those of one time in the
    order of the file).
    """
    died = _deaths(options.truth) if options.truth is not None else None
    heard: dict[str, list[Reading]] = {}
    charts: set[str] = set()
    for patient, reading, charted in track(_readings(options.file), description="readings", transient=True):
        heard.setdefault(patient, []).append(reading)
        if charted:
            charts.add(patient)
    if not heard:
        raise FormatError(f"{options.file}: no vital sign in it")
    if died is not None and not died.keys() & heard.keys():
        raise FormatError(f"{options.truth}: it knows none of the patients of {options.file}")
    stays = {
        patient: _stay(own, charted=patient in charts, scored=died is not None)
        for patient, own in track(heard.items(), description="patients", transient=True)
    }
    figures = _figures(stays, sum(len(own) for own in heard.values()))
    if died is not None:
        figures |= _warning(stays, died)
    rows = [(name, value) for name, value in figures.items() if not isinstance(value, dict)]
    left = [(f"left out: {name}", n) for name, n in figures["readings_left_out"].items()]
    return Report(figures, [(str(options.file), ("", ""), [*rows, *left])])


def _stay(readings: list[Reading], *, charted: bool, scored: bool) -> _Stay:
    readings.sort(key=lambda reading: reading.at)
    first = readings[0].at
    stay = _Stay(VitalsDetector(max_age_s=SPOT_MAX_AGE_S) if charted else VitalsDetector(), first, first)
    for reading in readings:
        _take(stay, reading, scored=scored)
    return stay


def _take(stay: _Stay, reading: Reading, *, scored: bool) -> None:
    """One reading; once an hour, before it, the range of the score is written down."""
    if reading.metric == "pulse" and isinstance(reading.value, int | float):
        stay.pulses.append((reading.at, reading.value))
        return
    if reading.at - stay.scored_at > 2 * _DAY_S:  # of a long silence the last day alone can count
        stay.scored_at += (reading.at - _DAY_S - stay.scored_at) // _SCORED_EVERY_S * _SCORED_EVERY_S
    while scored and stay.scored_at + _SCORED_EVERY_S <= reading.at:
        stay.scored_at += _SCORED_EVERY_S
        total = stay.detector.range_at(stay.scored_at)
        stay.scores.append((stay.scored_at, total.low, total.high))
    before = stay.detector.counts.total()
    found = stay.detector.on_reading(reading, reading.at)
    if stay.detector.counts.total() > before and reading.metric in _SIGN_OF:
        stay.refused.setdefault(_SIGN_OF[reading.metric], []).append(reading.at)
    stay.alarms += [d for d in found if not d.cleared]
    stay.watched_s += min(reading.at - stay.last, _DAY_S)  # days without a word are none in which it was silent
    stay.last = reading.at


def _readings(path: Path) -> Iterator[tuple[str, Reading, bool]]:
    """(patient, reading, whether it comes from a chart)."""
    columns: dict[str, str] = {}
    for line, row in read_rows(path, ()):
        if {"rid", "min", "p", "v"} <= row.keys():
            known = CHARTED.get(row["p"].strip())
            if known is None:
                continue
            at, value = _seconds(path, line, "min", row["min"], 60.0), number(path, line, "v", row["v"])
            if at is not None and value is not None:
                yield _name(row["rid"]), Reading(known[0], known[1], at, _charted(row["p"].strip(), value)), True
        elif {"t_s", "rec"} <= row.keys():
            columns = columns or {name.lower(): name for name in row}
            at = _seconds(path, line, "t_s", row["t_s"], 1.0)
            for name, metric in (("PULSE", "pulse"), *NUMERICS.items()):
                column = columns.get(name.lower())
                value = None if column is None else number(path, line, column, row[column])
                if at is not None and value is not None:
                    yield _name(row["rec"]), Reading("monitor", metric, at, value), False
        else:
            raise FormatError(f"{path}: the columns are t_s,HR,RESP,SpO2,rec or rid,min,p,v")


def _seconds(path: Path, line: int, column: str, text: str, unit_s: float) -> float | None:
    """Time of a row; None if it has none. Raises FormatError."""
    time = number(path, line, column, text)
    if time is not None and not EARLIEST_S <= time * unit_s <= LATEST_S:
        raise FormatError(f"{path}:{line}: {column} is a time, got {text[:40]!r}")
    return None if time is None else time * unit_s


def _name(text: str) -> str:
    """Of a patient: a table that had gaps has made 12.0 of 12."""
    text = text.strip()
    return text[:-2] if text.endswith(".0") and text[:-2].isdecimal() else text


def _charted(name: str, value: float) -> Value:
    if name == "GCS":
        return ("A" if value == 15 else "C") if 3 <= value <= 15 else "none"
    if name == "FiO2":
        return (value if value <= 1 else value / 100) > 0.215
    return value == 1 if name == "MechVent" else value


def _deaths(path: Path) -> dict[str, bool]:
    """Whether each patient died; who is not said to have done either is left out. Raises FormatError."""
    died = {}
    for line, row in read_rows(path, ("rid", "died")):
        fate = flag(path, line, "died", row["died"])
        if fate is not None:
            died[_name(row["rid"])] = fate
    return died


def _figures(stays: dict[str, _Stay], readings: int) -> dict[str, Any]:
    days = sum(s.watched_s for s in stays.values()) / _DAY_S
    alarms = [(s, d) for s in stays.values() for d in s.alarms]
    artefacts = sum(_is_artefact(s, d) for s, d in alarms)
    levels = Counter(d.priority for _, d in alarms)
    left_out = sum((s.detector.counts for s in stays.values()), Counter[str]())
    return {
        "patients": len(stays),
        "patient_days": days,
        "readings": readings,
        "alarms": len(alarms),
        "alarms_high": levels[Priority.HIGH],
        "alarms_medium": levels[Priority.MEDIUM],
        "alarms_per_patient_day": len(alarms) / days if days else None,
        "artefact_alarms": artefacts,
        "artefact_share": artefacts / len(alarms) if alarms else None,
        "readings_left_out": dict(sorted(left_out.items())),
    }


def _is_artefact(stay: _Stay, alarm: Detection) -> bool:
    numbers = alarm.evidence[0].numbers
    for sign in Sign:
        if numbers.get(f"{sign}_score", 0) < 1:
            continue
        if any(abs(at - alarm.at) <= NEAR_S for at in stay.refused.get(sign, [])):
            return True
        near = [v for at, v in stay.pulses if abs(at - alarm.at) <= NEAR_S] if sign is Sign.PULSE else []
        if near and abs(statistics.median(near) / numbers[str(sign)] - 1) > _PULSES_APART:
            return True
    return False


def _warning(stays: dict[str, _Stay], died: dict[str, bool]) -> dict[str, Any]:
    """How the scores of the last 24 h, and the alarms, tell those who died from those who lived."""
    known = {patient: stay for patient, stay in stays.items() if patient in died}
    leads = [(died[p], _lead_h(stay)) for p, stay in known.items()]
    dead, alive = ([h for d, h in leads if d is fate] for fate in (True, False))
    warned = [h for h in dead if h is not None]
    return {
        "patients_with_truth": len(known),
        "died": len(dead),
        "auc_last_24h": _auc(known, died, lambda low, high: (low + high) / 2),
        "auc_last_24h_certain_score": _auc(known, died, lambda low, _: low),
        "died_with_high_alarm_last_24h": len(warned) / len(dead) if dead else None,
        "lived_with_high_alarm_last_24h": sum(h is not None for h in alive) / len(alive) if alive else None,
        "lead_time_h_median": statistics.median(warned) if warned else None,
    }


def _lead_h(stay: _Stay) -> float | None:
    """Hours from the first high alarm of the last 24 h to the end of the chart."""
    late = [d.at for d in stay.alarms if d.priority is Priority.HIGH and d.at >= stay.last - _DAY_S]
    return (stay.last - min(late)) / 3600 if late else None


def _auc(stays: dict[str, _Stay], died: dict[str, bool], figure: Callable[[int, int], float]) -> float | None:
    """Area under the curve (Mann-Whitney, ties half) of the mean figure of each patient's last 24 h."""
    means: dict[bool, list[float]] = {True: [], False: []}
    for patient, stay in stays.items():
        late = [figure(low, high) for at, low, high in stay.scores if at >= stay.last - _DAY_S]
        means[died[patient]].append(statistics.fmean(late) if late else math.nan)
    dead, alive = (np.array(sorted(v for v in means[fate] if math.isfinite(v))) for fate in (True, False))
    if not len(dead) or not len(alive):
        return None
    wins = np.searchsorted(alive, dead, "left") + np.searchsorted(alive, dead, "right")
    return float(wins.mean() / 2 / len(alive))
