"""The vitals detector on broken input, and the command that scores it."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest

from edge.detectors.vitals import VitalsDetector
from edge.evaluate.cli import main
from edge.readings import Reading


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -5.0, True, "low"])
def test_what_is_no_saturation_never_alarms(value: float | bool | str) -> None:
    """Dropouts, NaN, flags and texts are left out and counted, however long they last."""
    detector = VitalsDetector()
    assert [d for t in range(600) for d in detector.on_reading(Reading("o", "spo2", float(t), value), float(t))] == []
    assert detector.counts["implausible"] == 600


def test_low_saturation_alarms_after_the_dwell() -> None:
    """A saturation of 85 % that stays raises one alarm, a minute after it began."""
    detector = VitalsDetector()
    found = [(t, d) for t in range(300) for d in detector.on_reading(Reading("o", "spo2", float(t), 85.0), float(t))]
    assert [(t, d.reason) for t, d in found] == [(60, "news2_single_sign_3")]


def test_numerics(recordings: Path, tmp_path: Path) -> None:
    """On the 1 Hz numerics the command counts patients, alarms and the readings left out."""
    file, out = recordings / "vitals" / "bidmc_numerics_1hz.csv", tmp_path / "out.json"
    with file.open() as lines:
        breaths = [float(row["RESP"]) for row in csv.DictReader(lines) if row["RESP"]]
    assert main(["vitals", str(file), "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert figures["patients"] == 26
    assert figures["readings_left_out"]["implausible"] == sum(b < 3 for b in breaths)
