"""`anju-evaluate vitals`: alarms of the vitals detector on 1 Hz numerics and on charted stays."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge.detectors.vitals import VitalsDetector
from edge.evaluate.report import FormatError, Report
from edge.evaluate.rows import number, read_rows
from edge.readings import Reading

NAME = "vitals"
HELP = "alarms per patient-day on 1 Hz numerics or charted stays; with --truth the AUC of the last 24 h against death"

NUMERICS = {"HR": "heart_rate", "RESP": "respiration_rate", "SpO2": "spo2"}
CHARTED = {
    "HR": "heart_rate",
    "RespRate": "respiration_rate",
    "SaO2": "spo2",
    "SysABP": "systolic",
    "NISysABP": "systolic",
    "Temp": "body_temperature",
}
_DAY_S = 86_400.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The recordings and, for charted stays, what became of the patients."""
    parser.add_argument("file", type=Path, help=".csv or .parquet: t_s,HR,RESP,SpO2,rec or rid,min,p,v")
    parser.add_argument("--truth", type=Path, help="CSV with rid,died")


def run(options: argparse.Namespace) -> Report:
    """Each patient has a detector of their own; rows are taken in the order of the file."""
    counts: Counter[str] = Counter()
    detectors: dict[str, VitalsDetector] = {}
    span: dict[str, tuple[float, float]] = {}
    scores: dict[str, list[tuple[float, int]]] = {}
    for patient, reading in _readings(options.file):
        detector = detectors.setdefault(patient, VitalsDetector())
        found = detector.on_reading(reading, reading.at)
        counts["alarms"] += sum(not d.cleared for d in found)
        counts["readings"] += 1
        first, last = span.get(patient, (reading.at, reading.at))
        span[patient] = (min(first, reading.at), max(last, reading.at))
        if options.truth is not None:
            scores.setdefault(patient, []).append((reading.at, detector.low_score(reading.at)))
    days = sum(last - first for first, last in span.values()) / _DAY_S
    left_out = sum((d.counts for d in detectors.values()), Counter[str]())
    figures = {
        "patients": len(detectors),
        "patient_days": days,
        "readings": counts["readings"],
        "alarms": counts["alarms"],
        "alarms_per_patient_day": counts["alarms"] / days if days else None,
        "readings_left_out": dict(left_out),
    }
    if options.truth is not None:
        figures["auc_last_24h"] = _auc(scores, span, _deaths(options.truth))
    rows = [(name, value) for name, value in figures.items() if not isinstance(value, dict)]
    return Report(figures, [(str(options.file), ("", ""), [*rows, *left_out.items()])])


def _readings(path: Path) -> Iterator[tuple[str, Reading]]:
    for line, row in read_rows(path, ()):
        if {"rid", "min", "p", "v"} <= row.keys():
            at, value = number(path, line, "min", row["min"]), number(path, line, "v", row["v"])
            if at is not None and value is not None and row["p"] in CHARTED:
                yield row["rid"], Reading("chart", CHARTED[row["p"]], at * 60, value)
        elif {"t_s", "rec"} <= row.keys():
            at = number(path, line, "t_s", row["t_s"])
            for column, metric in NUMERICS.items():
                value = number(path, line, column, row.get(column, ""))
                if at is not None and value is not None:
                    yield row["rec"], Reading("monitor", metric, at, value)
        else:
            raise FormatError(f"{path}: the columns are t_s,HR,RESP,SpO2,rec or rid,min,p,v")


def _deaths(path: Path) -> dict[str, bool]:
    return {row["rid"]: row["died"].strip() in ("1", "1.0") for _, row in read_rows(path, ("rid", "died"))}


def _auc(
    scores: dict[str, list[tuple[float, int]]], span: dict[str, tuple[float, float]], died: dict[str, bool]
) -> float | None:
    """Area under the curve (Mann-Whitney, ties half) of the mean certain score in each patient's last 24 h."""
    means: dict[bool, list[float]] = {True: [], False: []}
    for patient, values in scores.items():
        if patient in died:
            late = [score for at, score in values if at >= span[patient][1] - _DAY_S]
            means[died[patient]].append(float(np.mean(late)))
    dead, alive = np.array(means[True]), np.sort(np.array(means[False]))
    if not len(dead) or not len(alive):
        return None
    wins = np.searchsorted(alive, dead, "left") + np.searchsorted(alive, dead, "right")
    return float(wins.mean() / 2 / len(alive))
