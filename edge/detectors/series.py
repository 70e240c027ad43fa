"""Anything without a rule: how unusual each value of a series is, in one pass, with constant memory and no settings.

Theory of operation. Six figures are made of every value: the error of the best of several one-step predictions, the
same against the season, the shift of the mean over a short and a longer stretch, the change of the spread (up, or down
to a flat line), and the distance of the last stretch to its nearest past. Each figure is judged only against its own
past (TailProbability), so no figure needs a threshold and units do not matter. The rarest figure decides.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge.detectors.history import ROOM, History, NearestPast
from edge.detectors.tail import TailProbability

VERSION = 1
QUIET, RAMP = 64, 256
"""Scores are 0 for so many values, then grow to full height over so many (the probation of a series)."""
HALF = 4.0
"""Rarity that scores 0.5: one value in ten thousand."""
WIDTHS = (16, 32, 64, 128)

_FIGURES = ("step", "season", "shift_short", "shift_long", "spread", "shape")
_WEIGHTS = {"step": 1.0, "season": 1.0, "shift_short": 0.9, "shift_long": 0.8, "spread": 0.9, "shape": 0.9}
_RATES = {"fast": 0.3, "slow": 0.03}
_ORDER = 4
_RESOLUTION = 1e-6
"""Differences below this share of the values are rounding, not news."""
_LEAST = 0.05
"""Figures below this count as none."""


class SeriesDetector:
    """Push values in time order; `score` is 0 (usual) to 1. A value that is missing (None, NaN, infinite) scores 0
    and changes nothing. State survives a restart (`state`, `restore`).
    """

    def __init__(self) -> None:
        self._history = History()
        self._tails = {name: TailProbability() for name in _FIGURES}
        self._nearest: NearestPast | None = None
        self._levels = dict.fromkeys(_RATES, 0.0)
        self._errors = {"last": 1.0, "fast": 1.0, "slow": 1.0, "ar": 1.0, "season": 1.0}
        self._weights = np.zeros(_ORDER)
        self._weights[-1] = 1.0
        self._gain = np.eye(_ORDER) * 10.0
        self._sizes = dict.fromkeys(("step", "season"), 0.0)
        self._means = dict.fromkeys(("4", "16", "64", "256"), 0.0)
        self._spreads = dict.fromkeys(("short", "long"), 0.0)
        self._floor = 0.0

    def push(self, value: float | None) -> float:
        """Score of the next value, given all before it."""
        if value is None or not math.isfinite(value):
            return 0.0
        history = self._history
        value = max(-1e12, min(1e12, value))
        if history.total == 0:
            self._levels = dict.fromkeys(_RATES, value)
            self._means = dict.fromkeys(self._means, value)
        self._floor = max(self._floor, _RESOLUTION * abs(value))
        figures = {name: f if f > _LEAST else 0.0 for name, f in self._figures(value).items()}
        rarest = max(_WEIGHTS[name] * self._tails[name].rarity(figure) for name, figure in figures.items())
        for name, figure in figures.items():
            self._tails[name].add(figure)
        trust = min(1.0, max(0.0, (history.total - QUIET) / RAMP))
        return trust * rarest / (rarest + HALF)

    def _figures(self, value: float) -> dict[str, float]:
        history = self._history
        guesses = self._guesses()
        error = value - self._best(guesses)
        season = guesses.get("season")
        self._learn(value, guesses)
        history.push(value)
        figures = {"step": self._sized("step", abs(error))}
        adjusted = value
        if season is not None:
            figures["season"] = self._sized("season", abs(value - season))
            adjusted = value - season + self._means["256"]
        figures |= self._shifts(adjusted)
        figures["spread"] = self._spread(error)
        figures["shape"] = self._shape()
        return figures

    def _guesses(self) -> dict[str, float]:
        history = self._history
        if history.total < _ORDER:
            return {"last": self._levels["fast"]}
        mean = self._levels["slow"]
        lags = history.last(_ORDER) - mean
        found = {"last": history.ago(1), **self._levels, "ar": mean + float(self._weights @ lags)}
        period = history.period
        if period is not None and history.total > period:
            times = min(3, min(history.total, ROOM) // period)
            found["season"] = float(np.median([history.ago(period * k) for k in range(1, times + 1)]))
        return found

    def _best(self, guesses: dict[str, float]) -> float:
        shares = {name: (1.0 / (self._errors[name] + 1e-12)) ** 3 for name in guesses}
        total = sum(shares.values())
        return sum(shares[name] * guess for name, guess in guesses.items()) / total

    def _learn(self, value: float, guesses: dict[str, float]) -> None:
        for name, guess in guesses.items():
            self._errors[name] += 0.02 * (math.sqrt(abs(value - guess)) - self._errors[name])
        if "ar" in guesses:
            self._learn_ar(value, guesses["ar"])
        for name, rate in _RATES.items():
            self._levels[name] += rate * (value - self._levels[name])

    def _learn_ar(self, value: float, guess: float) -> None:
        """Recursive least squares with forgetting, on values in units of the usual error; one wild value counts as a
        clipped one."""
        unit = max(self._sizes["step"], self._floor, 1e-9)
        lags = (self._history.last(_ORDER) - self._levels["slow"]) / unit
        error = max(-4.0, min(4.0, (value - guess) / unit))
        gained = self._gain @ lags
        scale = 0.998 + float(lags @ gained)
        self._weights = self._weights + gained * (error / scale)
        self._gain = (self._gain - np.outer(gained, gained) / scale) / 0.998
        if not np.isfinite(self._gain).all() or float(np.abs(self._gain).max()) > 1e6:
            self._gain = np.eye(_ORDER) * 1.0
        if not np.isfinite(self._weights).all() or float(np.abs(self._weights).sum()) > 8:
            self._weights = np.array([0.0] * (_ORDER - 1) + [1.0])

    def _sized(self, name: str, error: float) -> float:
        """Error in units of its usual size, which grows slowly under a burst of errors."""
        usual = self._sizes[name]
        rate = max(0.02, 1.0 / (self._history.total + 1))
        self._sizes[name] = usual + rate * (min(error, 5 * usual + self._floor) - usual if usual else error)
        return error / (usual + self._floor) if usual + self._floor > 0 else (0.0 if error == 0 else 100.0)

    def _shifts(self, adjusted: float) -> dict[str, float]:
        for name in self._means:
            rate = max(1.0 / int(name), 1.0 / (self._history.total + 1))
            self._means[name] += rate * (adjusted - self._means[name])
        unit = self._sizes["step"] + self._floor
        if unit <= 0:
            return {"shift_short": 0.0, "shift_long": 0.0}
        return {
            "shift_short": abs(self._means["4"] - self._means["64"]) / unit,
            "shift_long": abs(self._means["16"] - self._means["256"]) / unit,
        }

    def _spread(self, error: float) -> float:
        for name, n in (("short", 12), ("long", 300)):
            rate = max(1.0 / n, 1.0 / (self._history.total + 1))
            self._spreads[name] += rate * (abs(error) - self._spreads[name])
        if self._history.total % 16 == 0:
            values = self._history.last(512)
            spread = 0.02 * float(np.quantile(values, 0.9) - np.quantile(values, 0.1))
            self._floor = max(spread, _RESOLUTION * float(np.abs(values).max()))
        low = self._floor / 4 + 1e-12
        return abs(math.log2((self._spreads["short"] + low) / (self._spreads["long"] + low)))

    def _shape(self) -> float:
        total = self._history.total
        if self._nearest is None:
            if total < 128:
                return 0.0
            period = self._history.period
            width = next((w for w in WIDTHS if period is not None and w >= period / 2), 32 if period is None else 128)
            self._nearest = NearestPast(width)
        distance = self._nearest.distance(self._history)
        usual = self._sizes["step"] + self._floor
        return distance / usual if distance == distance and usual > 0 else 0.0

    def state(self) -> dict[str, Any]:
        """Everything remembered, as JSON values."""
        return {
            "v": VERSION,
            "history": self._history.state(),
            "tails": {name: tail.state() for name, tail in self._tails.items()},
            "width": None if self._nearest is None else self._nearest.width,
            "numbers": {
                "levels": self._levels,
                "errors": self._errors,
                "sizes": self._sizes,
                "means": self._means,
                "spreads": self._spreads,
            },
            "weights": self._weights.tolist(),
            "gain": self._gain.tolist(),
            "floor": self._floor,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Raises ValueError if it is no state of this detector; then nothing changed."""
        if state.get("v") != VERSION:
            raise ValueError(f"series: version {state.get('v')!r} is not known")
        fresh = SeriesDetector()
        try:
            fresh._history.restore(state["history"])
            for name, tail in fresh._tails.items():
                tail.restore(state["tails"][name])
            for name in ("levels", "errors", "sizes", "means", "spreads"):
                numbers = getattr(fresh, f"_{name}")
                setattr(fresh, f"_{name}", {k: _finite(state["numbers"][name][k]) for k in numbers})
            fresh._weights = np.array([_finite(w) for w in state["weights"]]).reshape(_ORDER)
            fresh._gain = np.asarray(state["gain"], dtype=float).reshape(_ORDER, _ORDER)
            fresh._floor = _finite(state["floor"])
            fresh._nearest = None if state["width"] is None else NearestPast(WIDTHS[WIDTHS.index(state["width"])])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"series: {error!r} in the state") from None
        self.__dict__.update(fresh.__dict__)


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"series: {value!r:.40} is not a finite number")
    return float(value)
