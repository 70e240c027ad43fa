"""Readings in and out of telemetry batches: what the gateway packs and what the cloud takes from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from protocols import senml
from protocols.errors import ProtocolError, Reason
from protocols.metrics import METRICS, Value, check_value
from protocols.senml import Record
from protocols.topics import check_identifier


@dataclass(frozen=True, slots=True)
class BatchReading:
    """One checked value of a batch: device, metric of the registry, Unix milliseconds, value in the registry's unit."""

    device: str
    metric: str
    at_ms: int
    value: Value


@dataclass(frozen=True, slots=True)
class TimeBounds:
    """How far a reading's time may lie from the receiver's."""

    max_age_s: float = 90 * 86_400.0
    max_future_s: float = 300.0


def pack_readings(readings: Iterable[tuple[str, str, float, Value]]) -> list[Record]:
    """SenML records of (device, metric, Unix seconds, value), with base name and base time set once per device.

    Times are kept to the millisecond, which is what the time series stores.
    """
    by_device: dict[str, list[tuple[str, float, Value]]] = {}
    for device, metric, at, value in readings:
        by_device.setdefault(device, []).append((metric, at, value))
    records: list[Record] = []
    for device, rows in by_device.items():
        base = math.floor(rows[0][1])
        for i, (metric, at, value) in enumerate(rows):
            records.append(
                _record(f"{device}/" if i == 0 else None, float(base) if i == 0 else None, metric, at - base, value)
            )
    return records


def _record(bn: str | None, bt: float | None, metric: str, offset: float, value: Value) -> Record:
    t = round(offset, 3) or None
    unit = METRICS[metric].unit or None
    if isinstance(value, bool):
        return Record(bn=bn, bt=bt, n=metric, vb=value, t=t)
    if isinstance(value, str):
        return Record(bn=bn, bt=bt, n=metric, vs=value, t=t)
    return Record(bn=bn, bt=bt, n=metric, u=unit, v=value, t=t)


def read_records(
    records: Sequence[Record], now: float, bounds: TimeBounds
) -> tuple[list[BatchReading], list[ProtocolError]]:
    """The good readings of a batch, and one error for each bad record.

    Raises ProtocolError where the pack as a whole cannot be resolved (RFC 8428 base fields).
    """
    readings: list[BatchReading] = []
    errors: list[ProtocolError] = []
    for record in senml.resolve(records, now):
        try:
            readings.append(_reading(record, now, bounds))
        except ProtocolError as error:
            errors.append(error)
    return readings, errors


def _reading(record: senml.Resolved, now: float, bounds: TimeBounds) -> BatchReading:
    where = f"records[{record.index}]"
    device, _, metric = record.name.partition("/")
    check_identifier(device, f"{where}.n")
    if record.value is None:
        raise ProtocolError(Reason.MALFORMED, where, f"{metric[:64]} has no value")
    if record.at > now + bounds.max_future_s:
        ahead = record.at - now
        raise ProtocolError(
            Reason.IN_FUTURE, f"{where}.t", f"lies {ahead:.0f} s ahead, at most {bounds.max_future_s:.0f}"
        )
    if record.at < now - bounds.max_age_s:
        raise ProtocolError(
            Reason.TOO_OLD, f"{where}.t", f"is {now - record.at:.0f} s old, at most {bounds.max_age_s:.0f}"
        )
    return BatchReading(device, metric, round(record.at * 1000), check_value(metric, record.value, record.unit, where))
