"""What sources hand to the rest of the gateway: single readings and frames of signal, already in the registry's units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocols.metrics import Value


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one metric (protocols.metrics) of one device; `at` is Unix seconds."""

    device: str
    metric: str
    at: float
    value: Value


@dataclass(frozen=True, slots=True)
class SignalFrame:
    """Evenly sampled signal of one device: `samples` has shape (n, channels), float32, first sample at `at`.

    `channels` names the columns: ax ay az in g, gx gy gz in degrees a second. `full_scale_g` is where the accelerometer clips.
    """

    device: str
    seq: int
    at: float
    rate_hz: float
    channels: tuple[str, ...]
    samples: NDArray[np.float32]
    full_scale_g: float
