"""Simulated takings-off of a device, for training."""

from __future__ import annotations

import numpy as np
import pytest

from edge.evaluate.fall_training import device_alone
from edge.evaluate.fall_training.device_alone import RATE_HZ, contact

_G = 9.80665


@pytest.mark.parametrize("seed", range(12))
def test_an_event(seed: int) -> None:
    """Gravity throughout, one device or another; the same seed, the same event."""
    signal = device_alone.event(np.random.default_rng(seed))
    assert signal.shape[1] == 3
    assert 13 <= len(signal) / RATE_HZ <= 25
    assert np.isfinite(signal).all()
    assert np.median(np.linalg.norm(signal, axis=1)) == pytest.approx(1.0, abs=0.1)
    assert (signal == device_alone.event(np.random.default_rng(seed))).all()


def test_most_end_dead_still_and_the_others_in_a_hand() -> None:
    """Seven in ten lie in the end, with nothing but the noise of the sensor."""
    ends = [device_alone.event(np.random.default_rng(seed))[-300:] for seed in range(100)]
    still = sum(float(end.std(axis=0).max()) < 0.01 for end in ends)
    assert 55 <= still <= 85


@pytest.mark.parametrize(("height_m", "contact_s", "damping"), [(0.01, 0.002, 0.3), (0.5, 0.01, 0.6), (1.5, 0.1, 0.2)])
def test_the_ground_stops_what_fell(height_m: float, contact_s: float, damping: float) -> None:
    """Weightless for as long as such a flight takes; over all, the ground gives back what gravity gave."""
    force = contact(height_m, 0.0, contact_s, damping)
    flight = int(np.argmax(force > 0)) / 1000
    assert flight == pytest.approx((2 * height_m / _G) ** 0.5, abs=0.003)
    assert force.mean() == pytest.approx(1.0, abs=0.03)
    assert force[-50:].mean() == pytest.approx(1.0, abs=0.1)
