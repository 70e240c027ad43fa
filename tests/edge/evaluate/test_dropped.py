"""`anju-evaluate dropped`: a wearable that falls alone, by physics."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge.evaluate.cli import main
from edge.evaluate.dropped import KINDS

_G = 9.80665
_HELD = 6000
"""Samples before it is let go."""


@pytest.mark.parametrize(("position", "most"), [("waist", 0.03), ("wrist", 0.01)])
def test_a_dropped_device(tmp_path: Path, position: str, most: float) -> None:
    """It is hardly ever taken for a fall of its wearer (docs/results/falls_dropped_*.json: 0.8 % and none)."""
    out = tmp_path / "out.json"
    assert main(["dropped", "--position", position, "--n", "25", "--json", str(out)]) == 0
    kinds = json.loads(out.read_text())["kinds"]
    assert set(kinds) == set(KINDS)
    assert sum(k["alarms"] for k in kinds.values()) <= most * 25 * len(kinds)


@pytest.mark.parametrize("kind", ["floor", "table", "sofa"])
def test_at_rest_in_the_end(kind: str) -> None:
    """It feels its own weight and nothing else."""
    signal = KINDS[kind](np.random.default_rng(1))
    assert np.linalg.norm(signal[-15_000:], axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(10))
def test_the_blow_fits_the_height(seed: int) -> None:
    """The first blow takes the speed of the flight and gives back a share of it, as its integral says."""
    magnitude = np.linalg.norm(KINDS["floor"](np.random.default_rng(seed))[_HELD:], axis=1)
    flight = int(np.argmax(magnitude > 0.9))
    height_m = _G * (flight / 1000) ** 2 / 2
    assert 0.29 < height_m < 1.51
    rest = magnitude[flight:] - 1.0
    blow = rest[: int(np.argmax(rest < -0.1)) or len(rest)]
    speed = float(blow.sum()) * _G / 1000
    assert 1.04 < speed / np.sqrt(2 * _G * height_m) < 1.61
