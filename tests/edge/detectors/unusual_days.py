"""Weeks of a home's numbers without a rule, and what goes wrong in them; as a script it writes the figures of the docs.

`python -m tests.edge.detectors.unusual_days docs/results/unusual.json`
"""

from __future__ import annotations

import json
import math
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.detectors.unusual import ROW_S, UnusualDetector, Watched
from edge.readings import Device, DeviceRole, Reading
from protocols.wire import AlarmKind

START = 1_795_017_600.0
"""Midnight of the simulated home's clock."""
DAY = 86_400.0
A_DAY = round(DAY / ROW_S)
USUAL_DAYS, PLANTED_DAY = 60, 21
SEEDS = range(100, 106)
"""Homes. The limit was chosen on the seeds 0 to 3."""
LIMITS = (0.5, 0.52, 0.55)

Day = Callable[[random.Random], Iterator[float]]
"""An endless series, a value for every row, from midnight on."""


def _hours(rng: random.Random, hour: float, spread_h: float) -> int:
    return round((hour + rng.gauss(0, spread_h)) * 3600 / ROW_S)


def fridge(rng: random.Random) -> Iterator[float]:
    """Power of a compressor that runs a third of the time."""
    while True:
        on, off = rng.randint(2, 4), rng.randint(5, 7)
        yield from (80 + rng.gauss(0, 1) for _ in range(on))
        yield from (2 + abs(rng.gauss(0, 0.1)) for _ in range(off))


def television(rng: random.Random) -> Iterator[float]:
    """Power of a television: the evening, and one noon in three."""
    while True:
        day = [1.0] * A_DAY
        for hour, share in ((19.0, 0.95), (12.0, 0.33)):
            begin, length = _hours(rng, hour, 0.6), rng.randint(20, 45)
            if rng.random() < share:
                day[begin : begin + length] = [120.0] * length
        yield from (v + rng.gauss(0, 0.3) for v in day[:A_DAY])


def light(rng: random.Random) -> Iterator[float]:
    """Illuminance of a living room: clouds by day, a lamp in the evening."""
    cloud = 0.6
    while True:
        lamp, dark = _hours(rng, 18.0, 0.5), _hours(rng, 22.5, 0.4)
        for n in range(A_DAY):
            cloud = min(1.0, max(0.15, cloud + 0.06 * (0.6 - cloud) + rng.gauss(0, 0.04)))
            sun = max(0.0, math.sin((n / A_DAY - 0.25) * 2 * math.pi)) * 400 * cloud
            yield max(0.0, sun + 150 * (lamp <= n < dark) + rng.gauss(0, 2))


def window(rng: random.Random) -> Iterator[float]:
    """Temperature at a window: the day, and weather that wanders."""
    weather, n = 0.0, 0
    while True:
        weather += -weather / (2 * A_DAY) + rng.gauss(0, 0.08)
        yield 20 + 2.5 * math.sin((n / A_DAY - 0.35) * 2 * math.pi) + weather + rng.gauss(0, 0.05)
        n += 1


def carbon_monoxide(rng: random.Random) -> Iterator[float]:
    """Parts per million, with a little at two meals."""
    while True:
        meals = [_hours(rng, hour, 0.4) for hour in (11.5, 17.5)]
        for n in range(A_DAY):
            cooking = any(m <= n < m + 6 for m in meals)
            yield max(0.0, rng.gauss(3.0 if cooking else 1.0, 0.6))


def shower(rng: random.Random) -> Iterator[float]:
    """Humidity of a bathroom: a shower on most mornings, which dries within two hours."""
    wet, base = 0.0, 50.0
    while True:
        at = _hours(rng, 7.5, 0.5) if rng.random() < 0.85 else -1
        for n in range(A_DAY):
            wet = 35.0 if n == at else wet * 0.85
            base += 0.02 * (50 - base) + rng.gauss(0, 0.25)
            yield min(100.0, base + wet + rng.gauss(0, 0.4))


@dataclass(frozen=True)
class Wrong:
    """What goes wrong on one day: from `hour` on for `hours`, `change` makes the value from the usual one."""

    what: str
    series: str
    hour: float
    hours: float
    change: Callable[[float], float]


METRIC: dict[str, str] = {
    "fridge": "power",
    "television": "power",
    "light": "illuminance",
    "window": "temperature",
    "kitchen": "co_ppm",
    "bath": "humidity",
}
DAYS: dict[str, Day] = {
    "fridge": fridge,
    "television": television,
    "light": light,
    "window": window,
    "kitchen": carbon_monoxide,
    "bath": shower,
}
DEVICES = tuple(Device(name, DeviceRole.PRESENCE) for name in METRIC)
WRONG = (
    Wrong("fridge runs without a pause", "fridge", 8, 12, lambda v: 82.0),
    Wrong("fridge is off", "fridge", 8, 24, lambda v: 0.0),
    Wrong("television on all night", "television", 22, 10, lambda v: 120.0),
    Wrong("lamp on all night", "light", 23, 7, lambda v: v + 150),
    Wrong("blinds shut all day", "light", 6, 12, lambda v: 3.0),
    Wrong("window left open", "window", 10, 8, lambda v: v - 8),
    Wrong("heater left on", "window", 10, 12, lambda v: v + 8),
    Wrong("carbon monoxide", "kitchen", 14, 3, lambda v: v + 15),
    Wrong("bathroom stays wet", "bath", 13, 12, lambda v: 92.0),
)


def values(name: str, seed: int, days: int, wrong: Wrong | None = None, day: int = PLANTED_DAY) -> Iterator[float]:
    """One value for each row."""
    rng = random.Random(f"{name} {seed}")
    begin = -1 if wrong is None else day * A_DAY + round(wrong.hour * 3600 / ROW_S)
    end = begin if wrong is None else begin + round(wrong.hours * 3600 / ROW_S)
    for n, value in zip(range(days * A_DAY), DAYS[name](rng), strict=False):
        yield wrong.change(value) if wrong is not None and begin <= n < end else value


def notices(name: str, rows: Iterator[float], told: float) -> list[float]:
    """When it is told of a series by itself, in seconds from the start; no limit a day."""
    watched = Watched(((name, METRIC[name]),), notices_per_day=10_000, told=told)
    detector, found = UnusualDetector(DEVICES, watched), []
    for n, value in enumerate(rows):
        now = START + n * ROW_S
        found += detector.on_reading(Reading(name, METRIC[name], now, value), now)
    return [d.at - START for d in found if d.kind is AlarmKind.UNUSUAL and not d.cleared]


def _usual(told: float) -> dict[str, float]:
    """Notices in 30 days in which nothing goes wrong, by series."""
    found = {name: sum(len(notices(name, values(name, s, USUAL_DAYS), told)) for s in SEEDS) for name in METRIC}
    return {name: round(n / len(SEEDS) / USUAL_DAYS * 30, 2) for name, n in found.items()}


def _planted(wrong: Wrong, told: float) -> dict[str, Any]:
    """Told within a day, in how many homes, and how long after."""
    begin, delays = PLANTED_DAY * DAY + wrong.hour * 3600, []
    for seed in SEEDS:
        ats = notices(wrong.series, values(wrong.series, seed, PLANTED_DAY + 3, wrong), told)
        late = [at - begin for at in ats if 0 <= at - begin <= DAY]
        delays += late[:1]
    return {
        "told": f"{len(delays)} of {len(SEEDS)}",
        "median_h": round(statistics.median(delays) / 3600, 1) if delays else None,
    }


def main(path: Path) -> None:
    """Write the figures."""
    figures = {
        str(told): {"notices_in_30_days": _usual(told), "wrong": {w.what: _planted(w, told) for w in WRONG}}
        for told in LIMITS
    }
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
