"""Roll-ups in InfluxDB: measurement `vitals_15min` and so on, a field for each figure of each metric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cloud.timeseries.base import Resolution, Window
from cloud.timeseries.influx.server import Series
from cloud.timeseries.lines import field_text
from protocols.metrics import METRICS, Measurement, Metric, Type


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


def statements(
    resolution: Resolution, source: str, start_ms: int, end_ms: int, homes: Sequence[str] | None
) -> list[str]:
    """What computes one window, a statement for each measurement."""
    where = f"time >= {start_ms}ms AND time < {end_ms}ms"
    if homes is not None:
        where += (
            " AND (" + " OR ".join(f"home = '{quoted(home)}'" for home in homes) + ")" if homes else " AND home = ''"
        )
    made = []
    for measurement in Measurement:
        known = [m for m in METRICS.values() if m.measurement is measurement]
        if resolution is Resolution.QUARTER:
            figures = ", ".join(_from_values(m) for m in known)
            inner = f'{source}."{measurement}" WHERE {where}'
        else:
            figures = ", ".join(_from_quarters(m) for m in known)
            parts = ", ".join(_quarter_fields(m) for m in known)
            inner = f'(SELECT {parts} FROM {source}."{measurement}_15min" WHERE {where} GROUP BY home, device)'
            inner += f" WHERE {where}"
        made.append(f"SELECT {figures} FROM {inner} GROUP BY home, device")
    return made


def _from_values(metric: Metric) -> str:
    n = metric.name
    parts = [f'count("{n}") AS "{n}|count"', f'last("{n}") AS "{n}|last"']
    if metric.type is Type.NUMBER:
        parts += [f'{f}("{n}") AS "{n}|{f}"' for f in ("min", "max", "mean")]
    return ", ".join(parts)


def _quarter_fields(metric: Metric) -> str:
    n = metric.name
    parts = [f'"{n}_count" AS "{n}_count"', f'"{n}_last" AS "{n}_last"']
    if metric.type is Type.NUMBER:
        parts += [f'"{n}_{f}" AS "{n}_{f}"' for f in ("min", "max")]
        parts.append(f'"{n}_mean" * "{n}_count" AS "{n}_sum"')
    return ", ".join(parts)


def _from_quarters(metric: Metric) -> str:
    n = metric.name
    parts = [f'sum("{n}_count") AS "{n}|count"', f'last("{n}_last") AS "{n}|last"']
    if metric.type is Type.NUMBER:
        parts += [f'{f}("{n}_{f}") AS "{n}|{f}"' for f in ("min", "max")]
        parts.append(f'sum("{n}_sum") AS "{n}|sum"')
    return ", ".join(parts)


def windows_of(series: Iterable[Series], at_ms: int) -> Iterator[Window]:
    """The windows in an answer to `statements`."""
    for s in series:
        figures: dict[str, dict[str, object]] = {}
        for column, value in zip(s.columns, s.values[0], strict=True):
            metric, found, figure = column.partition("|")
            if found and value is not None:
                figures.setdefault(metric, {})[figure] = value
        for metric, found_of in figures.items():
            yield _window(s.tags["home"], s.tags["device"], metric, at_ms, found_of)


def _window(home: str, device: str, metric: str, at_ms: int, found: dict[str, object]) -> Window:
    count = round(float(str(found["count"])))
    last = found["last"]
    assert isinstance(last, float | int | bool | str)
    if METRICS[metric].type is not Type.NUMBER:
        return Window(home, device, metric, at_ms, count, last)
    mean = float(str(found["mean"])) if "mean" in found else float(str(found["sum"])) / count
    return Window(
        home, device, metric, at_ms, count, float(last), float(str(found["min"])), float(str(found["max"])), mean
    )


def read_statement(metric: str, source: str, resolution: Resolution, where: str) -> str:
    """What reads one metric's windows: last, and min and max of a number."""
    names = ("last", "min", "max") if METRICS[metric].type is Type.NUMBER else ("last",)
    fields = ", ".join(f'"{metric}_{name}"' for name in names)
    return f'SELECT {fields} FROM {source}."{METRICS[metric].measurement}_{resolution}" WHERE {where} GROUP BY device'


def quoted(value: str) -> str:
    """A value inside InfluxQL's single quotes."""
    return value.replace("\\", "\\\\").replace("'", "\\'")
