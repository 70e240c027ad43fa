"""The last values of a series in a fixed room, the period they repeat in, and the distance to the nearest past."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOM = 2_048
_PERIOD_EVERY = 128
_PERIOD_MIN, _PERIOD_MAX = 6, 700
_CLEAR = 0.3
"""Least autocorrelation of a period that is believed."""


class History:
    """A ring of the last 2,048 values, kept twice so that every view is contiguous."""

    __slots__ = ("_data", "period", "total")

    def __init__(self) -> None:
        self._data = np.zeros(2 * ROOM)
        self.total = 0
        self.period: int | None = None

    def push(self, value: float) -> None:
        """Append; the period is looked for again every 128 values."""
        place = self.total % ROOM
        self._data[place] = self._data[place + ROOM] = value
        self.total += 1
        if self.total % _PERIOD_EVERY == 0:
            self.period = find_period(self.last(ROOM))

    def last(self, n: int) -> NDArray[np.float64]:
        """A view of the last n values (fewer at the start), oldest first."""
        n = min(n, self.total, ROOM)
        end = (self.total - 1) % ROOM + 1 + ROOM if self.total else 0
        return self._data[end - n : end]

    def ago(self, n: int) -> float:
        """The value n places back; 1 is the last one."""
        return float(self._data[(self.total - n) % ROOM])

    def state(self) -> dict[str, Any]:
        """The values, oldest first."""
        return {"values": self.last(ROOM).tolist(), "total": self.total, "period": self.period}

    def restore(self, state: dict[str, Any]) -> None:
        """Raises ValueError if it is not a state of a history."""
        values = np.asarray(state.get("values"), dtype=float)
        total, period = state.get("total"), state.get("period")
        if values.ndim != 1 or not isinstance(total, int) or len(values) != min(total, ROOM):
            raise ValueError("history: values and total disagree")
        if not np.isfinite(values).all() or not (period is None or isinstance(period, int)):
            raise ValueError("history: values or period are not numbers")
        places = np.arange(total - len(values), total) % ROOM
        self._data[places] = values
        self._data[places + ROOM] = values
        self.total, self.period = total, period


def find_period(values: NDArray[np.float64]) -> int | None:
    """Lag of the first clear peak of the autocorrelation of clipped first-order-detrended values; None if there is
    none."""
    n = len(values)
    if n < 4 * _PERIOD_MIN:
        return None
    low, high = np.quantile(values, [0.02, 0.98])
    if not high > low:
        return None
    x = np.clip(values, low, high)
    x = x - np.linspace(x[: n // 4].mean(), x[-(n // 4) :].mean(), n)
    x -= x.mean()
    spectrum = np.fft.rfft(x, 2 * n)
    raw = np.fft.irfft(spectrum * np.conj(spectrum))[:n]
    longest = min(_PERIOD_MAX, n // 2 - 1)
    if raw[0] <= 0 or longest <= _PERIOD_MIN:
        return None
    r = raw[: longest + 2] / raw[0] * n / (n - np.arange(longest + 2))
    below = np.flatnonzero(r < 0.1)
    if not len(below):
        return None
    start = max(_PERIOD_MIN, int(below[0]))
    inner = np.arange(start, longest + 1)
    peaks = inner[(r[inner] >= r[inner - 1]) & (r[inner] >= r[inner + 1]) & (r[inner] > _CLEAR)]
    if not len(peaks):
        return None
    best = float(r[peaks].max())
    return int(peaks[np.flatnonzero(r[peaks] >= 0.9 * best)[0]])


def nearest_past(values: NDArray[np.float64], width: int) -> float:
    """Root mean square distance of the newest `width` values, less their mean, to the nearest earlier stretch that
    does not overlap them; NaN while there are fewer than four stretches. A left matrix profile without normalisation
    (Yeh et al. 2016, ICDM).
    """
    if len(values) < 4 * width:
        return math.nan
    newest, past = values[-width:], values[:-width]
    dots = np.correlate(past, newest, "valid")
    sums = np.concatenate(([0.0], np.cumsum(past)))
    squares = np.concatenate(([0.0], np.cumsum(past * past)))
    means = (sums[width:] - sums[:-width]) / width
    powers = squares[width:] - squares[:-width] - width * means**2
    mean = float(newest.mean())
    power = float(((newest - mean) ** 2).sum())
    squared = powers + power - 2 * (dots - width * means * mean)
    return math.sqrt(max(0.0, float(squared.min())) / width)
