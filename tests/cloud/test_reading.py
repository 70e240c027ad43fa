"""The short way and the full way of reading a batch give the same rows, the same place, the same refusals."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.reading import BatchReader, Reading
from cloud.timeseries.base import Point
from cloud.timeseries.lines import point_line
from protocols.metrics import METRICS, Type
from protocols.telemetry import TimeBounds

NOW = 1_795_000_000.0
BOUNDS = TimeBounds(max_age_s=86_400.0, max_future_s=300.0)
DEVICES = ("oxi-1", "cuff-1", "w", "UPPER", "x" * 64)
UNITS = ("beat/min", "1/min", "%", "Cel", "K", "kPa", "/", None, None)


def _value(draw: Any, name: str) -> dict[str, object]:
    kind = METRICS[name].type if name in METRICS else Type.NUMBER
    if draw(st.integers(0, 9)) == 0:
        kind = draw(st.sampled_from(list(Type)))
    if kind is Type.FLAG:
        return {"vb": draw(st.booleans())}
    if kind is Type.TEXT:
        return {"vs": draw(st.sampled_from(["A", "kitchen", "", "y" * 65, 'say "x"\\']))}
    return {"v": draw(st.sampled_from([0, 1, 36.6, 71, 97.5, 120, -5, 1e5, 1e308]))}


@st.composite
def batches(draw: Any) -> bytes:
    """Batches as gateways send them, and now and then something wrong in one of their records."""
    records = []
    for i in range(draw(st.integers(1, 6))):
        name = draw(st.sampled_from([*METRICS, "no_such_metric"]))
        record: dict[str, object] = {"n": name} | _value(draw, name)
        if i == 0 or draw(st.integers(0, 2)) == 0:
            record |= {
                "bn": draw(st.sampled_from(DEVICES)) + "/",
                "bt": NOW + draw(st.sampled_from([0.0, -3.25, -90_000.0, 400.0])),
            }
        if draw(st.booleans()):
            unit = METRICS[name].unit if name in METRICS and draw(st.integers(0, 4)) else draw(st.sampled_from(UNITS))
            record |= {"u": unit} if unit else {}
        if draw(st.booleans()):
            record["t"] = draw(st.sampled_from([0.001, 0.5, 1.9995, -2, 500]))
        if draw(st.integers(0, 20)) == 0:
            record |= draw(
                st.sampled_from(
                    [{"s": 1.0}, {"bu": "K"}, {"ut": 3}, {"xyz": 1}, {"must_": 1}, {"bver": 10}, {"vd": "x"}]
                )
            )
        records.append(record)
    batch = {
        "v": 1,
        "epoch": "00000000000000aa",
        "lane": "live",
        "seq": 7,
        "clock": "synced",
        "sent": NOW,
        "records": records,
    }
    batch |= draw(
        st.sampled_from([{}] * 8 + [{"epoch": "ZZ" * 8}, {"seq": 0}, {"extra": 1}, {"lane": "alarm"}, {"v": 2}])
    )
    return msgspec.json.encode(batch)


def _values(reading: Reading) -> dict[tuple[str, str], str]:
    """Text of each field by its line's head and its name; one point may be spread over several lines."""
    found = {}
    for row in reading.rows:
        line = point_line(row) if isinstance(row, Point) else row
        head, rest = line.split(" ", 1)
        fields, _, at = rest.rpartition(" ")
        for field in fields.split(","):
            name, _, text = field.partition("=")
            found[f"{head} {at}", name] = text
    return found


@given(batches())
def test_both_ways_agree(payload: bytes) -> None:
    """Whatever is sent, ready lines hold what the points hold, and the same is refused in the same words."""
    short = BatchReader(BOUNDS, lines=True).read("h-1", payload, NOW)
    full = BatchReader(BOUNDS, lines=False).read("h-1", payload, NOW)
    assert _values(short) == _values(full)
    assert [str(e) for e in short.errors] == [str(e) for e in full.errors]
    place = ("epoch", "lane", "seq", "sent", "count", "oldest_ms")
    if short.rows:
        assert [getattr(short, name) for name in place] == [getattr(full, name) for name in place]


def test_usual_batches_go_the_short_way() -> None:
    """All types of value, several devices and times: nothing here needs the full way, and the lines are grouped."""
    reader = BatchReader(BOUNDS, lines=True)
    records = [
        {"bn": "oxi-1/", "bt": NOW, "n": "heart_rate", "u": "beat/min", "v": 71, "t": 0.25},
        {"n": "spo2", "u": "%", "v": 97.5, "t": 0.25},
        {"n": "consciousness", "vs": "A", "t": 0.25},
        {"bn": "pir-1/", "bt": NOW - 2000, "n": "motion", "vb": True},
    ]
    batch = {
        "v": 1,
        "epoch": "00000000000000aa",
        "lane": "backlog",
        "seq": 3,
        "clock": "synced",
        "sent": NOW,
        "records": records,
    }
    found = [reader.read("h-1", msgspec.json.encode(batch), NOW) for _ in range(3)][-1]
    assert (reader.short, reader.full) == (3, 0)
    assert found.rows == [
        'vitals,home=h-1,device=oxi-1 heart_rate=71.0,spo2=97.5,consciousness="A" 1795000000250000000',
        "activity,home=h-1,device=pir-1 motion=true 1794998000000000000",
    ]
    assert (found.lane, found.seq, found.count, found.oldest_ms) == ("backlog", 3, 4, 1_794_998_000_000)


def test_memory_of_values_is_bounded() -> None:
    """A sensor with endless different values is read all the same, and remembered only so far."""
    reader = BatchReader(BOUNDS, lines=True)
    records = [
        {"bn": "oxi-1/", "bt": NOW, "n": "weight", "u": "kg", "v": 50 + i / 10_007, "t": i / 1000} for i in range(700)
    ]
    for k in range(8):
        mine = [r | {"v": r["v"] + k} for r in records]  # type: ignore[operator]
        batch = {
            "v": 1,
            "epoch": "00000000000000aa",
            "lane": "live",
            "seq": 1,
            "clock": "synced",
            "sent": NOW,
            "records": mine,
        }
        found = reader.read("h-1", msgspec.json.encode(batch), NOW)
        assert len(found.rows) == 700
    assert len(reader._plans["oxi-1/"]["weight"].texts) == 4_096
