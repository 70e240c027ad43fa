"""Anything without a rule: how unusual each value of a series is, in one pass, with constant memory and no settings.

Theory of operation. A blend of simple forecasts (those that were near lately count more) gives an error for every
value. Figures are made of it and of the value: the error, the same against the season, both for a while (spread, run),
shifts of the mean of three widths, roughness (steps against deviations: a change of frequency), and the distance of the
last stretch to its nearest past. Each figure is judged only against its own past (TailProbability), so no figure needs
a threshold and units do not matter. The rarest figure decides, and is itself judged against its past, so that a series
full of surprises gets lower scores.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge.detectors.history import ROOM, History, nearest_past
from edge.detectors.shift import WIDTHS, WindowMeans
from edge.detectors.tail import TailProbability

VERSION = 3
_READS = (2, 3)
"""Versions of a state that are taken up."""
QUIET, RAMP = 64, 256
"""Scores are 0 for so many values, then grow to full height over so many (the probation of a series)."""
HALF = 4.0
"""Rarity that scores 0.5: one value in ten thousand."""

_WEIGHTS = {"step": 1.1, "season": 0.85, "run": 0.75, "spread": 0.9, "rough": 0.8, "shape": 0.8}
_WEIGHTS |= {f"shift_{width}": 0.75 for width in WIDTHS}
_DECISIVE = 8
"""Power of 1 / usual error by which forecasts are blended."""
_RESOLUTION = 1e-6
"""Differences below this share of the values are rounding, not news."""
_LEAST = 0.05
"""Figures below this count as none."""
_PERSISTENT, _DISCOUNT = 0.5, 1.5
"""A level that wanders by itself (correlation from value to value beyond the first) makes shifts say less."""
_SHAPE_EVERY, _SHAPE_FROM = 8, 256
_FORECASTS = ("last", "fast", "slow", "ar", "season", "both")
_MEANS = {"size": 50, "season_size": 50, "deviation": 200, "centre": 200, "run": 12, "run_long": 600, "error": 12}
_MEANS |= {"error_long": 300, "steps": 24, "steps_long": 400, "deviations": 24, "deviations_long": 400}
"""Running means and the values they look back."""


class SeriesDetector:
    """Push values in time order; `score` is 0 (usual) to 1. A value that is missing (None, NaN, infinite) scores 0
    and changes nothing. State survives a restart (`state`, `restore`).
    """

    def __init__(self) -> None:
        self._history = History()
        self._windows = WindowMeans()
        self._tails = {name: TailProbability() for name in (*_WEIGHTS, "rarest")}
        self._errors = dict.fromkeys(_FORECASTS, 1.0)
        self._levels = {"fast": 0.0, "slow": 0.0}
        self._means: dict[str, float] = {}
        self._lagged = {"value": 0.0, "value_power": 1e-9, "rest": 0.0, "rest_power": 1e-9, "rest_last": 0.0}
        self._floor = 0.0
        self._base = 0.0
        self._distance: float | None = None

    def push(self, value: float | None) -> float:
        """Score of the next value, given all before it."""
        if value is None or not math.isfinite(value):
            return 0.0
        value = max(-1e12, min(1e12, float(value)))
        if self._history.total == 0:
            self._levels, self._base = dict.fromkeys(self._levels, value), value
        self._floor = max(self._floor, _RESOLUTION * abs(value))
        figures = self._figures(value)
        rarest = 0.0
        for name, figure in figures.items():
            rarity = _WEIGHTS[name] * self._tails[name].take(figure if figure > _LEAST else 0.0)
            if name.startswith("shift"):
                rarity *= self._steadiness()
            rarest = max(rarest, rarity)
        rarest = (rarest + self._tails["rarest"].take(rarest)) / 2
        trust = min(1.0, max(0.0, (self._history.total - QUIET) / RAMP))
        return trust * rarest / (rarest + HALF)

    def ago(self, n: int) -> float | None:
        """The value n places back (1 is the last one); None if it is not known (any more)."""
        return self._history.ago(n) if 0 < n <= min(self._history.total, ROOM) else None

    def usual(self, n: int) -> float:
        """The median of the last n values; NaN before the first."""
        values = self._history.last(n)
        return float(np.median(values)) if len(values) else math.nan

    def _figures(self, value: float) -> dict[str, float]:
        history = self._history
        forecasts, season = self._forecasts(value)
        error = value - self._blend(forecasts)
        self._learn(value, forecasts)
        history.push(value)
        self._measure_floor()
        floor = self._floor + 1e-12
        usual = self._means.get("size", abs(error))
        figures = {"step": abs(error) / (usual + floor)}
        self._mean("size", min(abs(error), 5 * usual + self._floor))
        rest = value - self._base
        if season is not None:
            figures |= self._against_season(abs(value - season))
            rest = value - season if self._errors["season"] < self._errors["slow"] else rest
        unit = self._means["size"] + floor
        figures |= self._shifts(rest, unit)
        figures |= self._spreads(abs(error), abs(value - forecasts["last"]), abs(value - self._levels["slow"]))
        if history.total >= _SHAPE_FROM and history.total % _SHAPE_EVERY == 0:
            width = 64 if history.period is not None and history.period > 40 else 32
            distance = nearest_past(history.last(ROOM), width)
            self._distance = distance if math.isfinite(distance) else None
        if self._distance is not None:
            figures["shape"] = self._distance / unit
        return figures

    def _forecasts(self, value: float) -> tuple[dict[str, float], float | None]:
        """Forecasts of this value from those before it, and the one of the season alone (median of three periods)."""
        history, total, period = self._history, self._history.total, self._history.period
        slow = self._levels["slow"]
        last = history.ago(1) if total else value
        found = {"last": last, **self._levels}
        if total > 2:
            found["ar"] = slow + _within(self._lagged["value"] / self._lagged["value_power"], 1.0) * (last - slow)
        if period is None or total <= period + 1:
            return found, None
        seen = sorted(history.ago(period * k) for k in range(1, min(3, min(total, ROOM) // period) + 1))
        season = seen[1] if len(seen) == 3 else sum(seen) / len(seen)
        found["season"] = season
        found["both"] = last + history.ago(period) - history.ago(period + 1)
        return found, season

    def _blend(self, forecasts: dict[str, float]) -> float:
        least = min(self._errors[name] for name in forecasts) + 1e-12
        shares = {name: (least / (self._errors[name] + 1e-12)) ** _DECISIVE for name in forecasts}
        return sum(shares[name] * guess for name, guess in forecasts.items()) / sum(shares.values())

    def _learn(self, value: float, forecasts: dict[str, float]) -> None:
        for name, guess in forecasts.items():
            self._errors[name] += 0.02 * (math.sqrt(abs(value - guess)) - self._errors[name])
        slow, limit = self._levels["slow"], 6 * self._means.get("deviation", 1.0) + 1e-9
        now, before = _within(value - slow, limit), _within(forecasts["last"] - slow, limit)
        self._lagged["value"] += 0.01 * (now * before - self._lagged["value"])
        self._lagged["value_power"] += 0.01 * (before * before - self._lagged["value_power"]) + 1e-300
        self._mean("deviation", abs(now) if "deviation" in self._means else abs(value - slow))
        self._levels["fast"] += 0.3 * (value - self._levels["fast"])
        self._levels["slow"] += max(0.02, 1 / (self._history.total + 1)) * (value - slow)

    def _measure_floor(self) -> None:
        """What is small against the spread of the last 512 values is no news."""
        if self._history.total % 16 == 0:
            values = self._history.last(512)
            tenth = len(values) // 10
            parted = np.partition(values, (tenth, len(values) - 1 - tenth))
            spread = 0.02 * float(parted[len(values) - 1 - tenth] - parted[tenth])
            self._floor = max(spread, _RESOLUTION * float(np.abs(values).max()))

    def _against_season(self, off: float) -> dict[str, float]:
        floor = self._floor + 1e-12
        usual = self._means.get("season_size", off)
        self._mean("season_size", min(off, 5 * usual + self._floor))
        clipped = min(off, 8 * self._means["season_size"] + self._floor)
        run, long = self._mean("run", clipped), self._mean("run_long", clipped)
        return {"season": off / (usual + floor), "run": run / (long + floor)}

    def _shifts(self, rest: float, unit: float) -> dict[str, float]:
        self._windows.push(rest)
        off, limit, lagged = rest - self._mean("centre", rest), 6 * unit, self._lagged
        lagged["rest"] += 0.01 * (_within(off, limit) * _within(lagged["rest_last"], limit) - lagged["rest"])
        lagged["rest_power"] += 0.01 * (_within(off, limit) ** 2 - lagged["rest_power"]) + 1e-300
        lagged["rest_last"] = off
        if self._history.total <= 40:
            return {}
        return {f"shift_{width}": abs(d) / unit for width, d in self._windows.differences().items()}

    def _steadiness(self) -> float:
        kept = _within(self._lagged["rest"] / self._lagged["rest_power"], 1.0)
        return 1 - _DISCOUNT * max(0.0, kept - _PERSISTENT)

    def _spreads(self, error: float, step: float, deviation: float) -> dict[str, float]:
        low = self._floor / 4 + 1e-12
        spread = (self._mean("error", error) + low) / (self._mean("error_long", error) + low)
        near = (self._mean("steps", step) + low) / (self._mean("deviations", deviation) + low)
        far = (self._mean("steps_long", step) + low) / (self._mean("deviations_long", deviation) + low)
        return {"spread": abs(math.log2(spread)), "rough": abs(math.log2(near / far))}

    def _mean(self, name: str, value: float) -> float:
        before = self._means.get(name, value)
        rate = max(1 / _MEANS[name], 1 / (self._history.total + 1))
        self._means[name] = mean = before + rate * (value - before)
        return mean

    def state(self) -> dict[str, Any]:
        """Everything remembered, as JSON values."""
        return {
            "v": VERSION,
            "history": self._history.state(),
            "windows": self._windows.state(),
            "tails": {name: tail.state() for name, tail in self._tails.items()},
            "numbers": {
                "errors": self._errors,
                "levels": self._levels,
                "lagged": self._lagged,
                "own": {"floor": self._floor, "base": self._base},
            },
            "means": dict(self._means),
            "distance": self._distance,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Raises ValueError if it is no state of this detector; then nothing changed."""
        if state.get("v") not in _READS:
            raise ValueError(f"series: version {state.get('v')!r} is not known")
        fresh = SeriesDetector()
        try:
            fresh._history.restore(state["history"])
            fresh._windows.restore(state["windows"])
            for name, tail in fresh._tails.items():
                tail.restore(state["tails"][name])
            numbers = state["numbers"]
            for name in ("errors", "levels", "lagged"):
                own = getattr(fresh, f"_{name}")
                setattr(fresh, f"_{name}", {key: _finite(numbers[name][key]) for key in own})
            fresh._floor, fresh._base = _finite(numbers["own"]["floor"]), _finite(numbers["own"]["base"])
            fresh._means = {name: _finite(value) for name, value in state["means"].items() if name in _MEANS}
            fresh._distance = None if state["distance"] is None else _finite(state["distance"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"series: {error!r} in the state") from None
        self.__dict__.update(fresh.__dict__)


def _within(value: float, limit: float) -> float:
    return max(-limit, min(limit, value))


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"series: {value!r:.40} is not a finite number")
    return float(value)
