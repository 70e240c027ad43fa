"""The last values of a series in a fixed room, with the period they repeat in and the distance to the nearest past."""

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


class NearestPast:
    """Distance of the newest `width` values, less their mean, to the nearest stretch of the history that ended at
    least `width` values earlier: a left matrix profile without normalisation, one vector step a value
    (Zhu et al. 2016, ICDM: STOMP).
    """

    __slots__ = ("_dots", "_means", "_powers", "width")

    def __init__(self, width: int) -> None:
        self.width = width
        self._dots: NDArray[np.float64] | None = None
        self._means = self._powers = np.zeros(0)

    def distance(self, history: History) -> float:
        """Root mean square distance; NaN while there is no past. Call once after every push."""
        m = self.width
        x = history.last(ROOM)
        n = len(x)
        if n < 4 * m:
            self._dots = None
            return math.nan
        newest = x[-m:]
        if self._dots is None or n < ROOM or history.total % 256 == 0:
            dots = np.correlate(x, newest, mode="valid")
            sums = np.concatenate(([0.0], np.cumsum(x)))
            squares = np.concatenate(([0.0], np.cumsum(x * x)))
            self._means = (sums[m:] - sums[:-m]) / m
            self._powers = squares[m:] - squares[:-m] - m * self._means**2
        else:
            dots = self._step(history, x, newest)
        self._dots = dots
        far = n - 2 * m + 1
        mean, power = float(self._means[-1]), float(self._powers[-1])
        squared = self._powers[:far] + power - 2 * (dots[:far] - m * self._means[:far] * mean)
        return math.sqrt(max(0.0, float(squared.min())) / m)

    def _step(self, history: History, x: NDArray[np.float64], newest: NDArray[np.float64]) -> NDArray[np.float64]:
        """The window of history moved by one and so did the newest stretch, so each product keeps its place."""
        assert self._dots is not None
        m = self.width
        before = history.ago(m + 1)
        dots = np.empty_like(self._dots)
        # The value before the window's start has just left the ring: the first product is made anew.
        dots[1:] = self._dots[1:] + x[m:] * newest[-1] - x[: len(x) - m] * before
        dots[0] = float(x[:m] @ newest)
        self._means = np.append(self._means[1:], newest.mean())
        self._powers = np.append(self._powers[1:], float(((newest - newest.mean()) ** 2).sum()))
        return dots
