"""`anju-evaluate stream`: a long recording of ordinary life through the fall detector: how often does it cry?"""

from __future__ import annotations

import argparse
import math
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from edge.detectors.base import Detection
from edge.detectors.fall import FallDetector
from edge.evaluate.arrays import read_acceleration, typical_magnitude
from edge.evaluate.fall_play import model_of
from edge.evaluate.joining import AXES, FRAME_S, START
from edge.evaluate.report import FormatError, Report
from edge.evaluate.rows import Row, number, read_rows
from edge.readings import BodyPosition, Sensitivity, SignalFrame

NAME = "stream"
HELP = "a long unlabelled recording: fall alarms, and alarms per day of wear"

UNITS: Final = {"g": 1.0, "milli-g": 1000.0, "m/s2": 9.80665}
"""What gravity measures in each unit a recording may be in."""
COLUMNS: Final = (("ax", "ay", "az"), ("x", "y", "z"), ("acc_x", "acc_y", "acc_z"))
NOT_WORN_S: Final = 1800.0
STILL_G: Final = 0.013
"""A device that for half an hour moves less than this (standard deviation of each axis) is not worn. Own
choice, near the 13 mg that van Hees used for an hour (from memory, not re-read)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The recording, and how it was made."""
    parser.add_argument("file", type=Path, help=".npz with array 'acc' (N, 3), or .csv with ax,ay,az or x,y,z")
    parser.add_argument("--rate", type=float, required=True, metavar="HZ", help="samples a second")
    parser.add_argument("--position", choices=[p.value for p in BodyPosition], required=True)
    parser.add_argument("--sensitivity", choices=[s.value for s in Sensitivity], default="normal")
    parser.add_argument("--model", type=Path, help="a file made by train-falls instead of the model that ships")


def run(options: argparse.Namespace) -> Report:
    """Raises FormatError for a file or a rate that cannot be used."""
    if not 12.0 <= options.rate <= 1000.0:
        raise FormatError(f"--rate {options.rate:g}: 12 to 1000 Hz can be used")
    raw = read_acceleration(options.file)[0] if options.file.suffix.lower() == ".npz" else _csv(options.file)
    unit = _unit(options.file, raw)
    models = None if options.model is None else (model_of(options.model),)
    position, step = BodyPosition(options.position), Sensitivity(options.sensitivity)
    detector = FallDetector("recording", position, step, models)
    acc = np.divide(raw, UNITS[unit], out=raw)  # weeks of signal: one copy is enough
    found: list[Detection] = []
    total = -(-len(acc) // _size(options.rate))
    for frame in track(_frames(acc, options.rate), "signal", total=total, transient=True):
        found += detector.on_frame(frame)
    end = START + len(acc) / options.rate
    found += [*detector.on_tick(end), *detector.on_tick(end + 60.0)]
    return _report(options, found, len(acc) / options.rate, worn_s(acc, options.rate), unit, dict(detector.counts))


def worn_s(acc: NDArray[np.float64], rate_hz: float) -> float:
    """Seconds of the recording in which the device was worn, by half hours (the rest at the end by its own).

    A half hour of which nothing is known counts as not worn.
    """
    size = round(NOT_WORN_S * rate_hz)
    worn = 0
    for part in (acc[i : i + size] for i in range(0, len(acc), size)):
        known = part[~np.isnan(part).any(axis=1)]
        worn += len(part) if len(known) and bool((known.std(axis=0) > STILL_G).any()) else 0
    return worn / rate_hz


def _frames(acc: NDArray[np.float64], rate_hz: float) -> Iterator[SignalFrame]:
    size = _size(rate_hz)
    scale = max(float(np.nanmax(acc)), -float(np.nanmin(acc)))
    for seq, i in enumerate(range(0, len(acc), size)):
        part = acc[i : i + size].astype(np.float32)
        yield SignalFrame("recording", seq, START + i / rate_hz, rate_hz, AXES, part, scale)


def _size(rate_hz: float) -> int:
    return max(1, round(FRAME_S * rate_hz))


def _unit(path: Path, raw: NDArray[np.float64]) -> str:
    typical = typical_magnitude(raw)
    for name, gravity in UNITS.items():
        if 0.6 <= typical / gravity <= 1.6:
            return name
    raise FormatError(f"{path}: the typical magnitude is {typical:.4g}: neither g, milli-g nor m/s2")


def _csv(path: Path) -> NDArray[np.float64]:
    """A missing value is NaN."""
    values = array("d")  # a day has millions of rows
    columns: Sequence[str] | None = None
    for line, row in read_rows(path, ()):
        if columns is None:
            columns = _columns(path, row)
        for column in columns:
            value = number(path, line, column, row[column], of_sensor=True)
            values.append(math.nan if value is None else value)
    return np.array(values).reshape(-1, 3)


def _columns(path: Path, row: Row) -> Sequence[str]:
    """The three of this file, whatever their case."""
    own = {name.lower(): name for name in row}
    for names in COLUMNS:
        if set(names) <= own.keys():
            return [own[name] for name in names]
    raise FormatError(f"{path}: no columns {' or '.join(','.join(c) for c in COLUMNS)}")


def _report(
    options: argparse.Namespace, found: list[Detection], seconds: float, worn: float, unit: str, counts: dict[str, int]
) -> Report:
    alarms = [{"at_s": round(d.at - START, 2), "confidence": round(d.confidence, 3)} for d in found]
    figures = {
        "position": options.position,
        "rate_hz": options.rate,
        "unit": unit,
        "hours": seconds / 3600,
        "hours_worn": worn / 3600,
        "alarms": len(alarms),
        "alarms_per_day_of_wear": len(alarms) / (worn / 86_400) if worn else None,
        "at": alarms,
        "counts": counts,
    }
    shown = [(k, v) for k, v in figures.items() if not isinstance(v, dict | list)]
    rows = [(a["at_s"], a["confidence"]) for a in alarms]
    return Report(
        figures,
        [(str(options.file), ("", ""), [*shown, *counts.items()]), ("Alarms", ("seconds", "confidence"), rows)],
    )
