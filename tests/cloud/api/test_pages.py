"""The pages an SMS leads to: their language, their vitals, what they say of a wrong code."""

from __future__ import annotations

import pytest

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
