"""Roll-ups in InfluxDB: measurement `vitals_15min` and so on, a field for each figure of each metric."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cloud.timeseries.base import Resolution, Window
from cloud.timeseries.influx.server import Series
from cloud.timeseries.lines import field_text
from protocols.metrics import METRICS, Measurement, Type, Value


def window_lines(resolution: Resolution, windows: Iterable[Window]) -> list[str]:
    """One line for each measurement, home, device and window."""
    heads: dict[tuple[str, str, str, int], list[str]] = {}
    for w in windows:
        key = (str(METRICS[w.metric].measurement), w.home, w.device, w.at_ms)
        fields = heads.setdefault(key, [])
        fields.append(f"{w.metric}_count={w.count}i")
        fields.append(field_text(f"{w.metric}_last", w.last))
        for name, figure in (("min", w.low), ("max", w.high), ("mean", w.mean)):
            if figure is not None:
                fields.append(field_text(f"{w.metric}_{name}", figure))
    return [
        f"{measurement}_{resolution},home={home},device={device} {','.join(fields)} {at}000000"
        for (measurement, home, device, at), fields in heads.items()
    ]


def values_statement(resolution: Resolution, source: str, start_ms: int, end_ms: int, homes: Sequence[str]) -> str:
    """What reads the values, or the quarters, of one window of some homes; `Windows` makes windows of the answer.

    Having the server compute count, last, min, max and mean takes it five passes over the values, and 14 GB where it is
    asked for all homes of a district; reading the values by a hundred homes costs it a fourth.
    """
    names = " OR ".join(f"home = '{quoted(home)}'" for home in homes)
    where = f"time >= {start_ms}ms AND time < {end_ms}ms AND ({names})"
    suffix = "" if resolution is Resolution.QUARTER else f"_{Resolution.QUARTER}"
    return "; ".join(
        f'SELECT * FROM {source}."{measurement}{suffix}" WHERE {where} GROUP BY home, device'
        for measurement in Measurement
    )


class Windows:
    """One window of some homes, gathered from the answer to `values_statement`, which may split a series in pieces."""

    def __init__(self, resolution: Resolution, at_ms: int) -> None:
        self._resolution = resolution
        self._at_ms = at_ms
        self._figures: dict[tuple[str, str, str], _Figures] = {}

    def add(self, answer: Iterable[Series]) -> None:
        """Take a piece, in time order within a series."""
        take = self._values if self._resolution is Resolution.QUARTER else self._quarters
        for series in answer:
            take(series, dict(zip(series.columns, zip(*series.values, strict=True), strict=True)))

    def windows(self) -> list[Window]:
        """What was gathered."""
        return [
            Window(home, device, metric, self._at_ms, f.count, f.last)
            if f.low is None or f.high is None
            else Window(home, device, metric, self._at_ms, f.count, f.last, f.low, f.high, f.total / f.count)
            for (home, device, metric), f in self._figures.items()
        ]

    def _values(self, series: Series, columns: dict[str, tuple[Any, ...]]) -> None:
        for name, column in columns.items():
            metric = METRICS.get(name)
            values = [value for value in column if value is not None] if metric is not None else []
            if metric is None or not values:
                continue
            if metric.type is Type.NUMBER:
                figures = self._of(series, name, float(values[-1]))
                figures.extend(len(values), float(min(values)), float(max(values)), float(sum(values)))
            else:
                self._of(series, name, values[-1]).count += len(values)

    def _quarters(self, series: Series, columns: dict[str, tuple[Any, ...]]) -> None:
        for name, metric in METRICS.items():
            counts = columns.get(f"{name}_count", ())
            there = [i for i, count in enumerate(counts) if count is not None]
            if not there:
                continue
            count = sum(int(counts[i]) for i in there)
            last = columns[f"{name}_last"][there[-1]]
            if metric.type is not Type.NUMBER:
                self._of(series, name, last).count += count
                continue
            lows, highs, means = (columns[f"{name}_{figure}"] for figure in ("min", "max", "mean"))
            self._of(series, name, float(last)).extend(
                count,
                float(min(lows[i] for i in there)),
                float(max(highs[i] for i in there)),
                float(sum(means[i] * counts[i] for i in there)),
            )

    def _of(self, series: Series, metric: str, last: Value) -> _Figures:
        """The figures of one metric of one device, whose last value is now `last`."""
        key = series.tags["home"], series.tags["device"], metric
        figures = self._figures.get(key)
        if figures is None:
            figures = self._figures[key] = _Figures(last)
        figures.last = last
        return figures


@dataclass(slots=True)
class _Figures:
    """Count, extremes and sum of one metric so far."""

    last: Value
    count: int = 0
    low: float | None = None
    high: float | None = None
    total: float = 0.0

    def extend(self, count: int, low: float, high: float, total: float) -> None:
        """Take `count` more values."""
        self.count += count
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)
        self.total += total


def read_statement(metric: str, source: str, resolution: Resolution, where: str) -> str:
    """What reads one metric's windows: last, and min and max of a number."""
    names = ("last", "min", "max") if METRICS[metric].type is Type.NUMBER else ("last",)
    fields = ", ".join(f'"{metric}_{name}"' for name in names)
    return f'SELECT {fields} FROM {source}."{METRICS[metric].measurement}_{resolution}" WHERE {where} GROUP BY device'


def quoted(value: str) -> str:
    """A value inside InfluxQL's single quotes."""
    return value.replace("\\", "\\\\").replace("'", "\\'")
