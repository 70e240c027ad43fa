"""Other sensors and other ways of wearing them, drawn by chance."""

from __future__ import annotations

import numpy as np

from edge.evaluate.degrade import Degradation, random_rotation

_RATES_HZ = (None, None, None, 15.0, 18.0, 20.0, 25.0, 31.0, 40.0)
_RANGES_G = (2.0, 4.0, 8.0, 16.0, 16.0)


def drawn(rng: np.random.Generator) -> Degradation:
    """Any rotation; a rate from the recording's own down to 15 Hz, averaged or skipping; a range from 2 g; a gain, an
    offset of each axis and noise as cheap sensors have; and a person up to a tenth quicker or slower.
    """
    return Degradation(
        rotation=random_rotation(rng),
        gain=float(np.clip(rng.normal(1.0, 0.03), 0.9, 1.1)),
        offset_g=tuple(float(v) for v in np.clip(rng.normal(0.0, 0.03, 3), -0.1, 0.1)),
        noise_g=float(min(abs(rng.normal(0.0, 0.015)), 0.05)),
        range_g=_RANGES_G[int(rng.integers(len(_RANGES_G)))],
        rate=_RATES_HZ[int(rng.integers(len(_RATES_HZ)))],
        averaged=bool(rng.random() < 0.5),
        pace=float(np.clip(rng.normal(1.0, 0.04), 0.9, 1.1)),
        seed=int(rng.integers(2**32)),
    )
