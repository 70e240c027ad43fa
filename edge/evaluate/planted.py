"""Series with planted anomalies, to compare detectors on: six kinds of anomaly in five kinds of signal, by seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROWS = 4_000
_QUIET = 1_500
"""Nothing is planted before this row."""
WINDOW = 120
"""Rows from the first of an anomaly within which a detection counts."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """Values, and the rows at which something begins."""

    signal: str
    anomaly: str
    values: Values
    begins: tuple[int, ...]


def _noise(n: int, rng: np.random.Generator) -> Values:
    return rng.normal(0, 1, n) + 20


def _wandering(n: int, rng: np.random.Generator) -> Values:
    steps = rng.normal(0, 1, n)
    values = np.zeros(n)
    for i in range(1, n):
        values[i] = 0.95 * values[i - 1] + steps[i]
    return values


def _daily(n: int, rng: np.random.Generator) -> Values:
    day = 2 * math.pi * np.arange(n) / 144
    return 10 + 4 * np.sin(day) + 1.5 * np.sin(2 * day + 1) + rng.normal(0, 0.6, n)


def _sharp(n: int, rng: np.random.Generator) -> Values:
    """A machine that runs for a third of every hour."""
    return np.where(np.arange(n) % 60 < 20, 8.0, 2.0) + rng.normal(0, 0.3, n)


def _bursty(n: int, rng: np.random.Generator) -> Values:
    """Counts with a heavy tail: large values are usual here."""
    return np.floor(rng.lognormal(1.5, 0.8, n))


SIGNALS: dict[str, Callable[[int, np.random.Generator], Values]] = {
    "noise": _noise,
    "wandering": _wandering,
    "daily": _daily,
    "sharp": _sharp,
    "bursty": _bursty,
}


def _spike(x: Values, at: int, size: float, rng: np.random.Generator) -> Values:
    x[at] += 9 * size * rng.choice([-1, 1])
    return x


def _level(x: Values, at: int, size: float, rng: np.random.Generator) -> Values:
    x[at:] += 3 * size * rng.choice([-1, 1])
    return x


def _variance(x: Values, at: int, size: float, rng: np.random.Generator) -> Values:
    x[at : at + 150] += rng.normal(0, 3 * size, len(x[at : at + 150]))
    return x


def _frequency(x: Values, at: int, size: float, rng: np.random.Generator) -> Values:
    part = x[at : at + 2 * 200 : 2].copy()
    x[at : at + len(part)] = part
    return x


def _missing(x: Values, at: int, size: float, rng: np.random.Generator) -> Values:
    n = len(x[at : at + 150])
    x[at : at + 150] = np.median(x[:at]) + rng.normal(0, size / 4, n)
    return x


def _trend(x: Values, at: int, size: float, rng: np.random.Generator) -> Values:
    n = len(x) - at
    x[at:] += 6 * size * np.minimum(np.arange(n) / 100, 3) * rng.choice([-1, 1])
    return x


ANOMALIES: dict[str, Callable[[Values, int, float, np.random.Generator], Values]] = {
    "spike": _spike,
    "level shift": _level,
    "variance": _variance,
    "frequency": _frequency,
    "missing season": _missing,
    "trend": _trend,
}
_SEASONAL = ("frequency", "missing season")


def series(seed: int) -> Iterator[Planted]:
    """One series of each signal and anomaly (those of a season in seasonal signals only); two anomalies each."""
    for s, (signal, make) in enumerate(SIGNALS.items()):
        for a, (anomaly, plant) in enumerate(ANOMALIES.items()):
            if anomaly in _SEASONAL and signal not in ("daily", "sharp"):
                continue
            rng = np.random.default_rng((seed, s, a))
            values = make(ROWS, rng)
            size = 1.4826 * float(np.median(np.abs(np.diff(values) - np.median(np.diff(values))))) / math.sqrt(2)
            begins = (int(rng.integers(_QUIET, 2_400)), int(rng.integers(2_800, ROWS - 300)))
            for at in begins:
                values = plant(values, at, max(size, 1e-3), rng)
            yield Planted(signal, anomaly, values, begins)
