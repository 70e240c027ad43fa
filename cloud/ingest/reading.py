"""Telemetry messages into rows of the time series: a short way for what gateways usually send, a full one for the rest.

Theory of operation. A usual batch has only the SenML fields below, known names and units, and values in range. Such a
batch is turned straight into lines of line protocol, and most of its work is remembered: for each `device/metric` its
plan, and in the plan for each value that was checked once the finished text of its field. Whatever deviates in
anything is read again by `protocols.telemetry`, which names what is wrong and where. Both ways give the same rows
(tests/cloud/test_reading.py compares them), the short one at a tenth of the cost.
"""

from __future__ import annotations

import math
import re
import sys
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from cloud.timeseries.base import Point
from cloud.timeseries.lines import field_text, point_line
from protocols.errors import ProtocolError
from protocols.metrics import MAX_TEXT, METRICS, Type, Value
from protocols.senml import RELATIVE_BELOW
from protocols.telemetry import BatchReading, TimeBounds, read_records
from protocols.topics import IDENTIFIER
from protocols.wire import LATEST_TIME, MAX_MESSAGE_BYTES, MAX_RECORDS, Clock, Time, decode_telemetry

Row = Point | str
"""A point, or the ready line of one."""

_MAX_PLANS = 200_000
_MAX_TEXTS = 4_096
"""Values remembered of one metric of one device name; vital signs and room climate have some hundred each."""


class _Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    # in the order gateways write them, which is how the decoder expects them
    bn: str | None = None
    bt: float | None = None
    n: str
    u: str | None = None
    v: float | None = None
    vb: bool | None = None
    vs: str | None = None
    t: float | None = None


class _Batch(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    v: Literal[1]
    epoch: Annotated[str, Meta(min_length=16, max_length=16)]
    lane: Literal["live", "backlog"]
    seq: Annotated[int, Meta(ge=1, le=2**53)]
    clock: Clock
    sent: Time
    records: Annotated[list[_Record], Meta(min_length=1, max_length=MAX_RECORDS)]


_decode = msgspec.json.Decoder(_Batch).decode
_HEX = re.compile(r"[0-9a-f]{16}\Z")


class _Plan:
    """What is known of one `device/metric`."""

    __slots__ = ("device", "flags", "high", "low", "measurement", "metric", "takes_text", "texts", "unit")

    def __init__(self, device: str, metric: str) -> None:
        known = METRICS[metric]
        # Interned, so that the next record's are compared by identity.
        self.device = sys.intern(device)
        self.metric = metric
        self.measurement = sys.intern(known.measurement.value)
        self.unit = known.unit
        number = known.type is Type.NUMBER
        self.low, self.high = (known.low, known.high) if number else (math.inf, -math.inf)
        self.texts: dict[float | str, str] = {}
        self.takes_text = known.type is Type.TEXT
        self.flags = {flag: field_text(metric, flag) for flag in (False, True)} if known.type is Type.FLAG else {}

    def learn(self, value: float) -> str | None:
        """The field's text, remembered while there is room; None if the value is out of range or no value of it."""
        if not self.low <= value <= self.high:
            return None
        text = field_text(self.metric, value)
        if len(self.texts) < _MAX_TEXTS:
            self.texts[value] = text
        return text

    def learn_text(self, value: str) -> str | None:
        """The same for a metric whose values are texts."""
        if not self.takes_text or not 0 < len(value) <= MAX_TEXT:
            return None
        text = field_text(self.metric, value)
        if len(self.texts) < _MAX_TEXTS:
            self.texts[value] = text
        return text


class Reading(Struct, gc=False):
    """What one message came to. Without `epoch` it could not be read at all."""

    rows: list[Row] = []
    epoch: str = ""
    lane: str = ""
    seq: int = 0
    sent: float = 0.0
    count: int = 0
    oldest_ms: int = 0
    """Time of the oldest row; it shows whether closed roll-up windows were touched."""
    errors: list[ProtocolError] = []
    stored_before: bool = False
    """It is in the time series already; only the answer is owed again."""


class BatchReader:
    """Reads the messages of all gateways. `lines` chooses ready lines instead of points."""

    def __init__(self, bounds: TimeBounds, *, lines: bool) -> None:
        self._bounds = bounds
        self._lines = lines
        self._plans: dict[str, dict[str, _Plan]] = {}
        self._known = 0
        self._epochs: set[str] = set()
        self._limits = (0.0, 0, 0)
        self.short = 0
        self.full = 0

    def read(self, home: str, payload: bytes, now: float) -> Reading:
        """Decode and check one message; never raises for what a gateway may send."""
        if now != self._limits[0]:  # the same for all of a flush
            low = int((now - self._bounds.max_age_s) * 1000) + 1
            self._limits = (now, low, int((now + self._bounds.max_future_s) * 1000))
        found = self._read_short(home, payload) if self._lines else None
        if found is not None:
            self.short += 1
            return found
        self.full += 1
        return self._read_full(home, payload, now)

    def _read_short(self, home: str, payload: bytes) -> Reading | None:
        if len(payload) > MAX_MESSAGE_BYTES:
            return None
        try:
            batch = _decode(payload)
            epoch = batch.epoch
            if epoch not in self._epochs and not self._is_epoch(epoch):
                return None
            times = batch.records[0].bt
            if times is None or times < RELATIVE_BELOW:
                return None
            rows: list[Row] = []
            _, low, high = self._limits
            oldest = self._lines_of(home, batch.records, low, high, rows)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError, ValueError):
            return None
        if oldest is None:
            return None
        return Reading(rows, epoch, batch.lane, batch.seq, batch.sent, len(batch.records), oldest)

    def _is_epoch(self, epoch: str) -> bool:
        if not _HEX.match(epoch):
            return False
        if len(self._epochs) >= _MAX_PLANS:
            self._epochs.clear()
        self._epochs.add(epoch)
        return True

    def _lines_of(self, home: str, records: list[_Record], low: int, high: int, rows: list[Row]) -> int | None:
        """Append the lines; returns the time of the oldest, None where the full way must look."""
        plans: dict[str, _Plan] = {}
        base, base_time = "", 0.0
        offset: float | None = -1.0
        at = 0
        oldest = high
        measurement = device = head = ""
        texts: list[str] = []
        for r in records:
            if r.bt is not None:
                base_time, offset = r.bt, -1.0
                if base_time < RELATIVE_BELOW:
                    return None
            if r.bn is not None:
                base, measurement = r.bn, ""
                plans = self._plans.get(base) or {}
            plan = plans.get(r.n)
            if plan is None:
                plan = self._plan(base, r.n)
                if plan is None:
                    return None
            value = r.v
            if value is not None:
                unit = r.u
                if (unit != plan.unit and unit is not None) or r.vb is not None or r.vs is not None:
                    return None
                text = plan.texts.get(value) or plan.learn(value)
            elif r.vb is not None:
                text = plan.flags.get(r.vb) if r.vs is None else None
            else:
                text = plan.texts.get(r.vs) or plan.learn_text(r.vs) if r.vs is not None else None
            if text is None:
                return None
            if r.t != offset:
                offset = r.t
                at = round((base_time + offset) * 1000) if offset is not None else round(base_time * 1000)
                if not low <= at <= high:
                    return None
                if at < oldest:
                    oldest = at
                measurement = ""
            if plan.measurement is not measurement or plan.device is not device:
                if texts:
                    rows.append(head % ",".join(texts))
                measurement, device = plan.measurement, plan.device
                head = f"{measurement},home={home},device={device} %s {at}000000"
                texts = [text]
            else:
                texts.append(text)
        rows.append(head % ",".join(texts))
        return oldest

    def _plan(self, base: str, name: str) -> _Plan | None:
        device, _, metric = (base + name).partition("/")
        if metric not in METRICS or not IDENTIFIER.match(device):
            return None
        if self._known >= _MAX_PLANS:
            self._plans, self._known = {}, 0
        self._known += 1
        plan = self._plans.setdefault(base, {})[name] = _Plan(device, metric)
        return plan

    def _read_full(self, home: str, payload: bytes, now: float) -> Reading:
        found = Reading()
        try:
            batch = decode_telemetry(payload)
            readings, errors = read_records(batch.records, now, self._bounds)
        except ProtocolError as error:
            found.errors = [error]
            return found
        points = _points(home, readings)
        found.rows = [point_line(p) for p in points] if self._lines else list(points)
        found.epoch, found.lane, found.seq, found.sent = batch.epoch, batch.lane, batch.seq, batch.sent
        found.count, found.errors = len(batch.records), errors
        found.oldest_ms = min((p.at_ms for p in points), default=round(min(now, LATEST_TIME) * 1000))
        return found


def _points(home: str, readings: list[BatchReading]) -> list[Point]:
    """One point per measurement, device and time, with the metrics as fields."""
    points: dict[tuple[str, str, int], dict[str, Value]] = {}
    for reading in readings:
        key = (str(METRICS[reading.metric].measurement), reading.device, reading.at_ms)
        points.setdefault(key, {})[reading.metric] = reading.value
    return [Point(measurement, home, device, at, fields) for (measurement, device, at), fields in points.items()]
