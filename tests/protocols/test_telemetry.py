"""Readings into batches and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocols.metrics import METRICS, Metric, Type, Value
from protocols.senml import Record
from protocols.telemetry import TimeBounds, pack_readings, read_records
from protocols.wire import LATEST_TIME

NOW = 1_795_000_000.0
NUMBERS = [m for m in METRICS.values() if m.type is Type.NUMBER]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["oxi-1", "cuff-1", "w"]),
            st.sampled_from(NUMBERS),
            st.integers(-80_000_000_000, 200_000),
            st.floats(0, 1),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_round_trip(rows: list[tuple[str, Metric, int, float]]) -> None:
    """Every reading that is packed comes back with its device, metric, millisecond and value."""
    readings: list[tuple[str, str, float, Value]] = []
    for device, metric, offset_ms, share in rows:
        low, high = max(metric.low, -1e6), min(metric.high, 1e6)
        readings.append((device, metric.name, NOW + offset_ms / 1000, low + share * (high - low)))
    bounds = TimeBounds(max_age_s=LATEST_TIME)
    found, errors = read_records(pack_readings(readings), NOW, bounds)
    assert errors == []
    wanted = sorted((d, m, round(at * 1000), v) for d, m, at, v in readings)
    assert sorted((r.device, r.metric, r.at_ms, r.value) for r in found) == wanted


def test_flags_and_texts() -> None:
    """Values that are no numbers keep their type."""
    rows: list[tuple[str, str, float, Value]] = [
        ("door-1", "contact_open", NOW, True),
        ("tag-1", "room", NOW, "hall"),
        ("door-1", "contact_open", NOW + 1, False),
    ]
    found, errors = read_records(pack_readings(rows), NOW, TimeBounds())
    assert errors == []
    assert [(r.metric, r.value) for r in found] == [("contact_open", True), ("contact_open", False), ("room", "hall")]


def test_units_are_converted() -> None:
    """A sensor's own unit becomes the registry's."""
    records = [
        Record(bn="w/", bt=NOW, n="heart_rate", u="beat/s", v=1.2),
        Record(n="body_temperature", u="K", v=309.75),
    ]
    found, errors = read_records(records, NOW, TimeBounds())
    assert errors == []
    assert [round(float(r.value), 6) for r in found] == [72.0, 36.6]
