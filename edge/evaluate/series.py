"""`anju-evaluate series`: a streaming anomaly score for every row of a file, in one pass; or the benchmark."""

from __future__ import annotations

import argparse
import csv
import itertools
import time
from collections.abc import Sequence
from pathlib import Path

from rich.progress import track

from edge.detectors.series import SeriesDetector
from edge.evaluate import planted
from edge.evaluate.report import FormatError, Report
from edge.evaluate.rows import moment, number, read_rows
from edge.evaluate.series_benchmark import compare

NAME = "series"
HELP = "a general anomaly score in [0,1] for every row: one pass, no look-ahead, no settings"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file and where the scores go."""
    parser.add_argument(
        "file", type=Path, nargs="?", help="CSV with timestamp (Unix seconds or YYYY-MM-DD HH:MM:SS) and value"
    )
    parser.add_argument("--out", type=Path, help="CSV of timestamp,value,anomaly_score")
    parser.add_argument(
        "--benchmark", type=int, metavar="N", help="instead of a file: N times 24 series with planted anomalies"
    )


def run(options: argparse.Namespace) -> Report:
    """The benchmark, or the scores of a file. Raises FormatError."""
    if options.benchmark is not None:
        if options.file is not None or options.out is not None or options.benchmark < 1:
            raise FormatError("series: --benchmark N (at least 1) takes no file and no --out")
        return _benchmark(options.benchmark, options.seed)
    if options.file is None or options.out is None:
        raise FormatError("series: FILE.csv and --out, or --benchmark N")
    return _file(options)


def _benchmark(times: int, seed: int) -> Report:
    found = [one for n in range(times) for one in planted.series(seed + n)]
    figures = compare(found, lambda series: track(series, description="series", transient=True))
    rows = [(name, f["auc"], f["window_score"], f["us_per_row"]) for name, f in figures.items()]
    by = [
        (anomaly, *(f[key][anomaly] for f in figures.values() for key in ("auc_by_anomaly", "window_score_by_anomaly")))
        for anomaly in planted.ANOMALIES
    ]
    header = ("anomaly", *(f"{name}, {what}" for name in figures for what in ("AUC", "window")))
    tables: list[tuple[str, Sequence[str], Sequence[Sequence[object]]]] = [
        (f"{len(found)} series", ("detector", "AUC", "window score", "µs a row"), rows),
        ("By anomaly", header, by),
    ]
    for f in figures.values():
        del f["us_per_row"]  # of this machine, at this moment: it goes to the screen alone
    return Report({"series": len(found), "seed": seed, **figures}, tables)


def _file(options: argparse.Namespace) -> Report:
    """Score row by row; a row without a value scores 0."""
    detector = SeriesDetector()
    began = time.process_time()
    rows = missing = high = backwards = 0
    top: list[tuple[float, str]] = []
    last = float("-inf")
    if options.out.exists() and options.out.samefile(options.file):
        raise FormatError(f"--out {options.out}: that is the file itself, which would be lost")
    rows_read = read_rows(options.file, ("timestamp", "value"))
    first = next(rows_read)  # whatever is wrong with the file should not cost an older --out
    with options.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("timestamp", "value", "anomaly_score"))
        for line, row in track(itertools.chain([first], rows_read), description="rows", transient=True):
            value = number(options.file, line, "value", row["value"], of_sensor=True)
            at = moment(options.file, line, "timestamp", row["timestamp"])
            backwards += at < last
            last = at
            score = detector.push(value)
            writer.writerow((row["timestamp"], row["value"], f"{score:.6f}"))
            rows += 1
            missing += value is None
            high += score >= 0.5
            top = sorted([*top, (score, row["timestamp"])], reverse=True)[:5]
    spent = (time.process_time() - began) / rows * 1e6
    figures = {
        "rows": rows,
        "missing": missing,
        "clock_steps_back": backwards,
        "scores_of_half_and_more": high,
        "highest": [{"timestamp": at, "score": score} for score, at in top],
    }
    table = [("rows", rows), ("missing values", missing), ("score >= 0.5", high), ("microseconds a row", spent)]
    return Report(
        figures, [(str(options.out), ("", ""), table), ("Highest", ("at", "score"), [(t, s) for s, t in top])]
    )
