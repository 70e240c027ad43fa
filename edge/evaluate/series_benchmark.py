"""Compares scores of streaming detectors on planted anomalies: by blocks, and by one threshold for all series."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.detectors.series import SeriesDetector
from edge.evaluate.planted import WINDOW, Planted

PROBATION = 600
"""Rows at the start that count for nothing."""
_FALSE_COST = 0.11
"""What a false detection costs, in parts of a hit (the standard profile of the Numenta Anomaly Benchmark, 2015)."""


class Scorer(Protocol):
    """Anything that scores a value given those before it."""

    def push(self, value: float) -> float:
        """0 (usual) to 1."""
        ...


class RollingZ:
    """The probability that a normal variable is nearer to the mean of the last 200 values than this one."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=200)

    def push(self, value: float) -> float:
        """0 to 1."""
        z = 0.0
        if len(self._last) >= 30:
            values = np.array(self._last)
            z = abs(value - float(values.mean())) / (float(values.std()) + 1e-9)
        self._last.append(value)
        return _squashed(z)


class Ewma:
    """A control chart: deviation of the exponential mean (0.2) from the long mean, in its standard deviations."""

    def __init__(self) -> None:
        self._n, self._mean, self._square, self._smooth = 0, 0.0, 0.0, 0.0

    def push(self, value: float) -> float:
        """0 to 1."""
        self._n += 1
        rate = max(0.002, 1 / self._n)
        off = value - self._mean
        self._smooth = value if self._n == 1 else self._smooth + 0.2 * (value - self._smooth)
        spread = math.sqrt(self._square * 0.2 / 1.8) + 1e-9
        z = abs(self._smooth - self._mean) / spread if self._n > 30 else 0.0
        self._mean += rate * off
        self._square += rate * (off * off - self._square)
        return _squashed(z)


def _squashed(z: float) -> float:
    """log10 of the tail of a normal law, 0.5 at one in ten thousand, as the gateway's detector has it."""
    rarity = -math.log10(max(math.erfc(z / math.sqrt(2)), 1e-300))
    return rarity / (rarity + 4.0)


DETECTORS: dict[str, Callable[[], Scorer]] = {"anju": SeriesDetector, "rolling z-score": RollingZ, "EWMA": Ewma}


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One series and what a detector made of it."""

    planted: Planted
    scores: NDArray[np.float64]


def compare(planted: Sequence[Planted], progress: Callable[[Iterable[Planted]], Iterable[Planted]]) -> dict[str, Any]:
    """Figures by detector: `auc` of blocks, the same by anomaly, `window_score` (100 perfect, 0 silent), µs a row."""
    scored: dict[str, list[Scored]] = {name: [] for name in DETECTORS}
    spent = dict.fromkeys(DETECTORS, 0.0)
    for one in progress(planted):
        values = one.values.tolist()
        for name, make in DETECTORS.items():
            detector, begin = make(), time.process_time()
            scores = np.array([detector.push(value) for value in values])
            spent[name] += time.process_time() - begin
            scored[name].append(Scored(one, scores))
    rows = sum(len(one.values) for one in planted)
    return {name: _figures(found) | {"us_per_row": spent[name] / rows * 1e6} for name, found in scored.items()}


def _figures(scored: Sequence[Scored]) -> dict[str, Any]:
    anomalies = sorted({s.planted.anomaly for s in scored})
    by_anomaly = {a: _mean_auc([s for s in scored if s.planted.anomaly == a]) for a in anomalies}
    score, threshold = window_score(scored)
    return {
        "auc": _mean_auc(scored),
        "auc_by_anomaly": by_anomaly,
        "window_score": score,
        "threshold": threshold,
        "window_score_by_anomaly": {
            a: window_score([s for s in scored if s.planted.anomaly == a], threshold)[0] for a in anomalies
        },
    }


def _mean_auc(scored: Sequence[Scored]) -> float:
    return float(np.mean([_auc(s) for s in scored]))


def _auc(one: Scored) -> float:
    """How often the highest score of a window after an anomaly is above that of a block without one."""
    hits = [float(one.scores[at : at + WINDOW].max()) for at in one.planted.begins]
    blocks = [
        float(one.scores[at : at + WINDOW].max())
        for at in range(PROBATION, len(one.scores) - WINDOW + 1, WINDOW)
        if not any(at < begin + 4 * WINDOW and begin < at + WINDOW for begin in one.planted.begins)
    ]
    return float(np.mean([(h > b) + 0.5 * (h == b) for h in hits for b in blocks]))


def window_score(scored: Sequence[Scored], threshold: float | None = None) -> tuple[float, float]:
    """Reward 1 (at once) falling to 0 (at the end of the window) for the first detection in each window, less the cost
    of detections elsewhere, of which 40 rows on end count once. Per cent of the possible, at the one threshold that is
    best for all series (or the given one).
    """
    candidates = [threshold] if threshold is not None else [round(0.2 + 0.02 * k, 2) for k in range(40)]
    possible = sum(len(s.planted.begins) for s in scored)
    totals = [(sum(_gain(s, t) for s in scored) / possible * 100, t) for t in candidates]
    return max(totals)


def _gain(one: Scored, threshold: float) -> float:
    gain, last = 0.0, -math.inf
    found: set[int] = set()
    for row in np.flatnonzero(one.scores >= threshold).tolist():
        if row < PROBATION:
            continue
        begin = next((b for b in one.planted.begins if b <= row < b + WINDOW), None)
        if begin is not None and begin not in found:
            found.add(begin)
            gain += 1 - (row - begin) / WINDOW
        elif begin is None and row - last >= 40:
            gain -= _FALSE_COST
            last = row
    return gain
