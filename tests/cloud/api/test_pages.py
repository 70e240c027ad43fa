"""The pages an SMS leads to: their language, their vitals, what they say of a wrong code."""

from __future__ import annotations

import pytest

from cloud.api.pages import steps_of
from cloud.api.vitals import vitals_of
from cloud.timeseries.base import Sample

NOW = 1_795_000_000.0


def _sample(metric: str, value: float, ago: float = 60.0, device: str = "cuff-1") -> Sample:
    return Sample(device, metric, NOW - ago, value)


def _shown(*samples: Sample) -> list[tuple[str, str, str]]:
    return [(v.name, v.value, v.unit) for v in vitals_of(samples, since=NOW - 3600)]


def test_blood_pressure_is_one_value() -> None:
    """Systolic first, whatever order the store gives; the rest in its own fixed order."""
    assert _shown(
        _sample("body_temperature", 36.55, device="patch-1"),
        _sample("diastolic", 80.4),
        _sample("systolic", 120.0),
        _sample("heart_rate", 71.6, device="oxi-1"),
    ) == [("heart_rate", "72", "/min"), ("blood_pressure", "120/80", "mmHg"), ("body_temperature", "36.5", "°C")]


@pytest.mark.parametrize(
    "diastolic", [_sample("diastolic", 80, ago=600), _sample("diastolic", 80, device="cuff-2")], ids=["older", "other"]
)
def test_halves_of_different_measurements_stay_apart(diastolic: Sample) -> None:
    """A pressure nobody measured is not shown; systolic still comes first."""
    shown = _shown(diastolic, _sample("systolic", 120.0))
    assert shown == [("systolic", "120", "mmHg"), ("diastolic", "80", "mmHg")]


def test_old_and_other_values_are_left_out() -> None:
    """Only vitals, and only of the last hours."""
    assert _shown(_sample("heart_rate", 70, ago=3601), _sample("steps", 12), _sample("spo2", 97)) == [
        ("spo2", "97", "%")
    ]


@pytest.mark.parametrize(
    ("state", "log", "taken"),
    [
        ("new", "opened claimed released", "new"),
        ("dispatched", "opened claimed dispatched", "new claimed dispatched"),
        ("claimed", "opened taken_over dispatched responder_declined", "new claimed"),
        ("resolved", "opened claimed resolved", "new claimed"),
        ("closed", "opened claimed closed", "new claimed closed"),
        ("closed", "opened claimed dispatched closed", "new claimed dispatched closed"),
        ("closed", "opened claimed dispatched responder_arrived closed", "new claimed dispatched on_scene closed"),
    ],
)
def test_the_family_is_told_only_what_happened(state: str, log: str, taken: str) -> None:
    """An incident that was closed before anybody came does not say that help was there."""
    assert [step for step, done in steps_of(state, log.split()) if done] == taken.split()
