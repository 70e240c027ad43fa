"""Numbers without a rule of their own: a series that is unlike its own past is told, once, as a notice of low priority.

Theory of operation. Readings of a series become rows, one every five minutes: the mean of what was heard in them, or,
of a sensor that reports only changes, the value that stands. Rows go to the general series detector
(edge.detectors.series), which counts values by their order; so a row without a value is filled from the same time of
the day before, silently, and a day is always as many rows long, whatever was missed and however the clock stepped.
A score at the limit begins an unusual stretch, which is one notice and over when an hour of rows was calm. Where there
are more series than there is room for, those heard in an earlier row stay, and of one row the first by name, so that
the order in which sensors speak decides nothing.
"""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from edge.detectors.base import Detection
from edge.detectors.series import SeriesDetector
from edge.readings import Device, DeviceRole, Reading
from protocols.metrics import METRICS, Measurement, Type
from protocols.wire import AlarmKind, Evidence, Priority

VERSION = 1
ROW_S = 300.0
"""A day is 288 rows: the series detector learns periods of up to 700 rows, so that of one a minute it would never know
the day; its memory of 2,048 rows is a week. Faster rows would be nothing but noise of a home's sensors."""
MOST_SERIES = 12
TOLD, CALM = 0.52, 0.3
"""Scores at which a stretch begins, and below which a row is calm. Chosen on simulated homes (seeds 0 to 3 of
tests/edge/detectors/unusual_days.py) so that usual weeks hardly tell anything; docs/results/unusual.json has others.
"""
REST_ROWS = 12
"""So many calm rows end a stretch; as many after a gap are learned without being told."""
LEARNED_DAYS = 3
"""Nothing is told before: until then the series detector cannot know what a morning is."""
HELD_S = 4 * 3600.0
"""What a sensor last said stands for this long: those that report only changes speak at least every four hours."""
LATE_S = 2 * ROW_S
"""A reading further from the gateway's time tells of another row."""
DAY_S = 86_400.0
_LARGEST_STATE = 1_000_000
_RULED = (Measurement.VITALS, Measurement.LOCATION, Measurement.DEVICE)
"""Looked after by other detectors and by supervision."""
_RULED_OF_ROLE: dict[DeviceRole, frozenset[str]] = {
    DeviceRole.CLIMATE: frozenset({"temperature", "humidity"}),
    DeviceRole.STOVE: frozenset({"power", "temperature"}),
}
_COUNTERS = frozenset({"steps"})
"""Only ever grow, until they begin anew."""

Key = tuple[str, str]
"""Device and metric."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched: series by name, and, with `without_rule`, every number that no other detector judges; at most
    `notices_per_day` are told in 24 hours, of the whole home. A stretch begins at a score of `told`.
    """

    series: tuple[Key, ...] = ()
    without_rule: bool = False
    notices_per_day: int = 3
    told: float = TOLD


def has_no_rule(role: DeviceRole, metric: str) -> bool:
    """Whether a metric of a device of this role is a number that no other part of the gateway judges."""
    known = METRICS.get(metric)
    if known is None or known.type is not Type.NUMBER or known.measurement in _RULED or metric in _COUNTERS:
        return False
    return metric not in _RULED_OF_ROLE.get(role, ())


@dataclass(slots=True)
class _Series:
    """One series: the row that is being filled, what stands, and whether a stretch goes on."""

    detector: SeriesDetector = field(default_factory=SeriesDetector)
    total: float = 0.0
    n: int = 0
    last: float | None = None
    last_at: float = -math.inf
    missing: int = 0
    rest: int = 0
    stretch: bool = False
    told: bool = False
    calm: int = 0

    def row(self, end: float) -> float | None:
        """The value of the row that ends at `end`; the next one begins."""
        total, n = self.total, self.n
        self.total, self.n = 0.0, 0
        if n:
            return total / n
        return self.last if 0 <= end - self.last_at <= HELD_S else None


class UnusualDetector:
    """The watched series of one home. `counts`: `late`, `not_a_number`, `implausible` (left out), `left_out` (readings
    of series for which there was no room), `over_limit` (stretches not told), `filled` (rows).
    """

    def __init__(self, devices: Iterable[Device], watched: Watched, row_s: float = ROW_S) -> None:
        self._roles = {d.id: d.role for d in devices}
        self._watched = watched
        self._row_s = row_s
        self._rows_a_day = round(DAY_S / row_s)
        self._series: dict[Key, _Series] = {key: self._new() for key in watched.series[:MOST_SERIES]}
        self._newcomers: set[Key] = set()
        self._row: int | None = None
        self._notices: list[float] = []
        self.counts: Counter[str] = Counter()

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; what is not watched is ignored."""
        found = self._pass_time(now)
        series = self._of(reading)
        if series is None:
            return found
        metric, value = METRICS[reading.metric], reading.value
        if isinstance(value, bool | str) or not math.isfinite(value):
            self.counts["not_a_number"] += 1
        elif not metric.low <= value <= metric.high:
            self.counts["implausible"] += 1
        elif not abs(reading.at - now) <= LATE_S:
            self.counts["late"] += 1
        else:
            series.total, series.n = series.total + value, series.n + 1
            series.last, series.last_at = float(value), now
        return found

    def on_tick(self, now: float) -> list[Detection]:
        """A row ends by time alone."""
        return self._pass_time(now)

    def _of(self, reading: Reading) -> _Series | None:
        key = (reading.device, reading.metric)
        known = self._series.get(key)
        if known is not None or not self._watched.without_rule:
            return known
        role = self._roles.get(reading.device)
        if role is None or not has_no_rule(role, reading.metric):
            return None
        return self._series.setdefault(key, self._new()) if self._room_for(key) else None

    def _room_for(self, key: Key) -> bool:
        """Whether a new series is taken; of those that came in this row it may put out the last by name."""
        if len(self._series) >= MOST_SERIES:
            self.counts["left_out"] += 1
            last = max(self._newcomers, default=key)
            if last <= key:
                return False
            self._newcomers.remove(last)
            del self._series[last]
        self._newcomers.add(key)
        return True

    def _new(self) -> _Series:
        return _Series(rest=LEARNED_DAYS * self._rows_a_day)

    def _pass_time(self, now: float) -> list[Detection]:
        """Rows that are over. Those that nobody saw, and those a step of the clock left out or would repeat, are
        missing: as many as lead back to the same time of the day.
        """
        row, before = int(now // self._row_s), self._row
        if before is None or row == before:
            self._row = row
            return []
        unseen = (row - before - 1) % self._rows_a_day
        stepped = not 0 < row - before <= self._rows_a_day
        self._row, found = row, []
        self._newcomers.clear()
        for key, series in sorted(self._series.items()):
            if stepped:
                series.last_at = -math.inf
            value = series.row((before + 1) * self._row_s)
            found += self._take(key, series, value, now)
            series.missing += unseen
        return found

    def _take(self, key: Key, series: _Series, value: float | None, now: float) -> list[Detection]:
        if value is None:
            series.missing += 1
            return []
        if series.missing:
            self._fill(series)
        value = float(f"{value:.5g}")  # the sensor knows no more, and the state stays short
        score = series.detector.push(value)
        return self._judge(key, series, value, score, now)

    def _fill(self, series: _Series) -> None:
        """Missing rows are as they were at this time of the day before; whole days without a value are left out."""
        missing, series.missing = series.missing % self._rows_a_day, 0
        for _ in range(missing):
            before = series.detector.ago(self._rows_a_day)
            series.detector.push(before if before is not None else series.detector.ago(1))
        self.counts["filled"] += missing
        series.rest = max(series.rest, REST_ROWS)

    def _judge(self, key: Key, series: _Series, value: float, score: float, now: float) -> list[Detection]:
        if series.stretch:
            series.calm = series.calm + 1 if score < CALM else 0
            return self._over(key, series, now) if series.calm >= REST_ROWS else []
        if series.rest:
            series.rest -= 1
            return []
        if score < self._watched.told:
            return []
        series.stretch, series.calm = True, 0
        self._notices = [at for at in self._notices if 0 <= now - at < DAY_S]
        if len(self._notices) >= self._watched.notices_per_day:
            self.counts["over_limit"] += 1
            return []
        self._notices.append(now)
        series.told = True
        numbers = {"usual": float(f"{series.detector.usual(self._rows_a_day):.5g}"), "score": round(score, 3)}
        return [_detection(key, now, score, numbers | {key[1]: value})]

    def _over(self, key: Key, series: _Series, now: float) -> list[Detection]:
        """The stretch is over; the notice ends when no other series of the device is in one that was told."""
        told, series.stretch, series.told = series.told, False, False
        others = any(s.told for (device, _), s in self._series.items() if device == key[0])
        return [_detection(key, now, 1.0, {}, cleared=True)] if told and not others else []

    def state(self) -> dict[str, Any]:
        """All memory, packed: docs/detectors/series.md has its size."""
        return {
            "v": VERSION,
            "row": self._row,
            "notices": list(self._notices),
            "newcomers": [list(key) for key in sorted(self._newcomers)],
            "series": [[*key, _packed(series)] for key, series in sorted(self._series.items())],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state; series that are not watched any more are left out. Raises ValueError if it is none; then
        nothing changed.
        """
        if state.get("v") != VERSION:
            raise ValueError(f"unusual: state of version {state.get('v')!r}, this is {VERSION}")
        fresh = UnusualDetector((), self._watched, self._row_s)
        fresh._roles = self._roles
        try:
            row, notices = state["row"], [_finite(at) for at in state["notices"]]
            fresh._row = None if row is None else int(row)
            for device, metric, packed in state["series"]:
                place = fresh._of(Reading(str(device), str(metric), 0.0, 0.0))
                if place is not None:
                    fresh._series[device, metric] = _unpacked(packed)
            newcomers = {(str(device), str(metric)) for device, metric in state.get("newcomers", ())}
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"unusual: not a state: {error!r}") from error
        self._row, self._notices, self._series = fresh._row, notices, fresh._series
        self._newcomers = newcomers & self._series.keys()


def _detection(
    key: Key, now: float, confidence: float, numbers: dict[str, float], *, cleared: bool = False
) -> Detection:
    device, metric = key
    reason = "unusual_value"
    evidence = Evidence(detector=f"unusual_{metric}", device=device, at=now, reason=reason, numbers=numbers)
    return Detection(AlarmKind.UNUSUAL, Priority.LOW, now, device, reason, round(confidence, 3), (evidence,), cleared)


def _packed(series: _Series) -> str:
    """A series as text: mostly figures of few digits, which shrink to a third."""
    own = [series.total, series.n, series.last, series.last_at if math.isfinite(series.last_at) else None]
    own += [series.missing, series.rest, series.stretch, series.told, series.calm]
    body = msgspec.json.encode({"own": own, "detector": series.detector.state()})
    return base64.b64encode(zlib.compress(body, 6)).decode()


def _unpacked(packed: str) -> _Series:
    """Raises ValueError if it is no series."""
    try:
        inflate = zlib.decompressobj()
        body = inflate.decompress(base64.b64decode(packed, validate=True), _LARGEST_STATE)
        state = msgspec.json.decode(body)
        total, n, last, last_at, missing, rest, stretch, told, calm = state["own"]
        series = _Series(
            SeriesDetector(),
            _finite(total),
            int(n),
            None if last is None else _finite(last),
            -math.inf if last_at is None else _finite(last_at),
            int(missing),
            int(rest),
            bool(stretch),
            bool(told),
            int(calm),
        )
        series.detector.restore(state["detector"])
    except (zlib.error, binascii.Error, msgspec.DecodeError, KeyError, TypeError) as error:
        raise ValueError(f"no series: {error!r}") from error
    return series


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} is not a finite number")
    return float(value)
