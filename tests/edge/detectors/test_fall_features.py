"""Figures of an impact that models rely on."""

from __future__ import annotations

import numpy as np
import pytest

from edge.detectors.fall_features import AFTER, BEFORE, NAMES, RATE_HZ, features


@pytest.mark.parametrize(
    ("settling_s", "least", "most"), [(0.0, 0, 1), (0.5, 15, 27), (1.0, 40, 52), (10.0, AFTER, AFTER)]
)
def test_how_soon_it_is_still(settling_s: float, least: int, most: int) -> None:
    """From a fifth of a second on which nothing moves; all that is known if that never comes."""
    rng = np.random.default_rng(2)
    rows = np.tile([0.0, 0.0, 1.0], (BEFORE + AFTER, 1)) + rng.normal(0, 0.005, (BEFORE + AFTER, 3))
    rows[BEFORE] = [0.0, 0.0, 6.0]
    moving = rows[BEFORE + 1 : BEFORE + 1 + round(settling_s * RATE_HZ)]
    moving += rng.normal(0, 0.3, moving.shape)
    figures = dict(zip(NAMES, features(rows, BEFORE), strict=True))
    assert least <= figures["still_after"] <= most
