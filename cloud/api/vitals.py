"""Vitals as a page for people shows them: in a fixed order, blood pressure as one "systolic/diastolic"."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cloud.timeseries.base import Sample

_UNITS = {
    "heart_rate": "/min",
    "spo2": "%",
    "blood_pressure": "mmHg",
    "systolic": "mmHg",
    "diastolic": "mmHg",
    "body_temperature": "°C",
}
_ORDER = ("heart_rate", "spo2", "systolic", "diastolic", "body_temperature")
_TOGETHER_S = 30.0
"""Both halves of one measurement carry the same time; a little slack for cuffs that send them one after the other."""


@dataclass(frozen=True, slots=True)
class Vital:
    """One value in words; `at` in Unix seconds."""

    name: str
    value: str
    unit: str
    at: float


def vitals_of(samples: Iterable[Sample], since: float) -> list[Vital]:
    """The vitals among `samples` measured after `since`. Halves of a pressure that are not of one moment of one
    device stay two.
    """
    known = [s for s in samples if s.metric in _ORDER and s.at > since]
    known.sort(key=lambda s: (_ORDER.index(s.metric), s.device))
    joined: set[tuple[str, str]] = set()
    vitals = []
    for sample in known:
        if (sample.device, sample.metric) in joined:
            continue
        name, value = sample.metric, _words(sample)
        if other := next((o for o in known if _completes(sample, o)), None):
            joined.add((other.device, other.metric))
            name, value = "blood_pressure", f"{value}/{_words(other)}"
        vitals.append(Vital(name, value, _UNITS[name], sample.at))
    return vitals


def _completes(sample: Sample, other: Sample) -> bool:
    pair = (sample.metric, other.metric) == ("systolic", "diastolic")
    return pair and sample.device == other.device and abs(sample.at - other.at) <= _TOGETHER_S


def _words(sample: Sample) -> str:
    return f"{float(sample.value):.{1 if sample.metric == 'body_temperature' else 0}f}"
