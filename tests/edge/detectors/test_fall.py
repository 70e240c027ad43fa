"""The fall detector on recordings of real people, cut into frames as a wearable sends them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.detectors.fall import FallDetector
from edge.readings import BodyPosition, SignalFrame


def _detections(samples: NDArray[Any], position: BodyPosition, cut: int) -> list[float]:
    detector = FallDetector("w", position)
    found: list[float] = []
    for i in range(0, len(samples), cut):
        part = (samples[i : i + cut] * 0.001).astype(np.float32)
        frame = SignalFrame("w", i // cut, 1e9 + i / 50, 50.0, ("ax", "ay", "az"), part, 16.0)
        found += [d.at for d in detector.on_frame(frame)]
    return found


@pytest.mark.parametrize(
    ("name", "position"), [("sisfall_50hz_dev", BodyPosition.WAIST), ("weda_fall_dev", BodyPosition.WRIST)]
)
def test_framing_makes_no_difference(recordings: Path, name: str, position: BodyPosition) -> None:
    """However a recording is cut into frames, the same falls are found; most falls are found at the recorded impact."""
    arrays = np.load(recordings / "falls" / f"{name}.npz")
    with (recordings / "falls" / f"{name}_index.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["is_fall"] in ("1", "True", "true")][::40]
    hits = 0
    for row in rows:
        start = int(row["acc_off"])
        samples = arrays["acc"][start : start + int(row["acc_n"])]
        found = _detections(samples, position, 25)
        assert found == pytest.approx(_detections(samples, position, 7))
        hits += bool(found)
    assert hits >= len(rows) / 2


def test_lying_still_is_no_fall() -> None:
    """A minute of rest raises nothing."""
    assert _detections(np.tile(np.array([0, 0, 1000]), (3000, 1)), BodyPosition.WAIST, 25) == []
