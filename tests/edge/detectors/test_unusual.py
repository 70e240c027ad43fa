"""Numbers without a rule: one notice for an unusual stretch, and none for what is missing or for a clock that steps."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config import ConfigError, GatewayConfig, load
from edge.detectors.base import Detection
from edge.detectors.unusual import (
    HELD_S,
    LEARNED_DAYS,
    MOST_SERIES,
    ROW_S,
    TOLD,
    UnusualDetector,
    Watched,
    has_no_rule,
)
from edge.readings import Device, DeviceRole, Reading
from protocols.wire import AlarmKind, Priority
from tests.edge.detectors.unusual_days import A_DAY, START

_DAY = 86_400.0
_DEVICES = (Device("plug", DeviceRole.SWITCH), Device("lux", DeviceRole.MOTION), Device("air", DeviceRole.CLIMATE))
_PLUG = ("plug", "power")
Rows = Iterable[tuple[float, Reading | None]]


def day(days: float, seed: int = 1, *, begin: int = 0) -> list[float]:
    """Power of something that runs by day: a value a row."""
    rng = random.Random(seed)
    rows = range(begin, begin + round(days * A_DAY))
    return [40 + 30 * (0.3 < n % A_DAY / A_DAY < 0.9) + rng.gauss(0, 2) for n in rows]


def rows(values: Iterable[float], *, begin: float = 0.0, key: tuple[str, str] = _PLUG) -> Rows:
    """Each value as a reading in the middle of its row."""
    for n, value in enumerate(values):
        at = START + begin + (n + 0.5) * ROW_S
        yield at, Reading(*key, at, value)


def detector(*keys: tuple[str, str], **more: Any) -> UnusualDetector:
    """One that watches these series, or a plug's power."""
    return UnusualDetector(_DEVICES, Watched(keys or (_PLUG,), **more))


def feed(one: UnusualDetector, stream: Rows) -> list[Detection]:
    """What is found; a tick follows every reading."""
    found = []
    for at, reading in stream:
        found += one.on_reading(reading, at) if reading is not None else []
        found += one.on_tick(at)
    return found


def test_an_unusual_stretch_is_one_notice() -> None:
    """Ten hours at six times the usual power: one notice of low priority that says what and how much; then its end."""
    values = day(8)
    values[5 * A_DAY + 100 : 5 * A_DAY + 220] = [400.0] * 120
    told, over = feed(detector(), rows(values))
    assert (told.kind, told.priority, told.reason, told.device) == (
        AlarmKind.UNUSUAL, Priority.LOW, "unusual_value", "plug",
    )  # fmt: skip
    (evidence,) = told.evidence
    assert evidence.detector == "unusual_power"
    assert evidence.numbers["power"] == 400.0
    assert 40 <= evidence.numbers["usual"] <= 75
    assert told.confidence == evidence.numbers["score"] >= TOLD
    assert 0 <= told.at - (START + (5 * A_DAY + 100) * ROW_S) <= 3600
    assert over.cleared
    assert over.at > told.at


def test_usual_weeks_raise_nothing() -> None:
    """Nor does the first day of something that was never seen before."""
    assert feed(detector(), rows(day(21))) == []
    early = day(4)
    early[A_DAY : A_DAY + 40] = [400.0] * 40
    assert feed(detector(), rows(early)) == [], f"nothing is told in the first {LEARNED_DAYS} days"


def test_the_limit_a_day_is_the_homes() -> None:
    """Three devices that go wrong at once are told twice where two notices a day are allowed; the third is counted."""
    devices = [Device(f"plug-{i}", DeviceRole.SWITCH) for i in range(3)]
    one = UnusualDetector(devices, Watched(without_rule=True, notices_per_day=2))
    found: list[Detection] = []
    streams = []
    for i in range(3):
        values = day(7, i)
        values[5 * A_DAY + 100 : 5 * A_DAY + 160] = [400.0] * 60
        streams.append(rows(values, key=(f"plug-{i}", "power")))
    for moment in zip(*streams, strict=True):
        found += feed(one, moment)
    assert [d.kind for d in found if not d.cleared] == [AlarmKind.UNUSUAL] * 2
    assert len([d for d in found if d.cleared]) == 2
    assert one.counts["over_limit"] == 1


def test_two_numbers_of_one_device_end_together() -> None:
    """The device's notice ends when both are usual again."""
    lux, one = ("lux", "illuminance"), detector(("lux", "temperature"), ("lux", "illuminance"))
    warm, light = day(8, 1), day(8, 2)
    warm[5 * A_DAY + 100 : 5 * A_DAY + 140] = [110.0] * 40
    light[5 * A_DAY + 100 : 5 * A_DAY + 240] = [4_000.0 + n % 2 * 4_000 for n in range(140)]
    found: list[Detection] = []
    for moment in zip(rows(warm, key=("lux", "temperature")), rows(light, key=lux), strict=True):
        found += feed(one, moment)
    assert sorted(d.evidence[0].detector for d in found if not d.cleared) == [
        "unusual_illuminance", "unusual_temperature",
    ]  # fmt: skip
    assert [d.cleared for d in found] == [False, False, True]


@pytest.mark.parametrize("hours", [5.0, 30.0, 55.0])
def test_a_gap_is_not_unusual_and_does_not_shift_the_day(hours: float) -> None:
    """After hours without a value the rhythm goes on by the clock: nothing is told, and what is wrong still is."""
    one = detector()
    assert feed(one, rows(day(6))) == []
    gone = round(hours * 3600 / ROW_S)
    after = day(4, 5, begin=6 * A_DAY + gone)
    wrong = 2 * A_DAY + (-gone) % A_DAY
    after[wrong : wrong + 60] = [400.0] * 60
    found = feed(one, rows(after, begin=(6 * A_DAY + gone) * ROW_S))
    assert [d.cleared for d in found] == [False, True]
    assert found[0].at >= START + (6 * A_DAY + gone + wrong) * ROW_S
    assert one.counts["filled"] >= gone % A_DAY - HELD_S / ROW_S - 1


@pytest.mark.parametrize("step", [-2 * _DAY, -3600.0, 3600.0, 5 * 3600.0, 400 * _DAY])
def test_a_clock_that_steps_raises_nothing(step: float) -> None:
    """Usual values before and after a step, by the clock that it shows."""
    one = detector()
    assert feed(one, rows(day(6))) == []
    begin = 6 * A_DAY + round(step / ROW_S)
    assert feed(one, rows(day(3, 7, begin=begin), begin=begin * ROW_S)) == []


def test_a_sensor_that_reports_changes_stands_at_its_last_value() -> None:
    """A value an hour old is the value; one from yesterday is none."""
    one = detector()
    for at, reading in rows(day(6)):
        hourly = (at - START) % 3600 < ROW_S
        assert feed(one, [(at, reading if hourly else None)]) == []
    assert one.counts["filled"] == 0
    silent = [(START + 6 * _DAY + n * ROW_S, None) for n in range(A_DAY)]
    assert feed(one, silent) == []
    assert feed(one, rows(day(1, 3), begin=7 * _DAY)) == []
    assert one.counts["filled"] >= A_DAY - HELD_S / ROW_S - 13


def test_what_is_no_value_is_left_out_and_counted() -> None:
    """Not numbers, values beyond the metric's range, and stamps of another hour change nothing."""
    one, plain = detector(), detector()
    for at, reading in rows(day(5)):
        for value in (math.nan, math.inf, -1.0, 1e300, True, "98"):
            assert feed(one, [(at, Reading("plug", "power", at, value))]) == []
        for stamp in (at - 7_200, at + 7_200, math.nan):
            assert feed(one, [(at, Reading("plug", "power", stamp, 5_000.0))]) == []
        feed(one, [(at, reading)])
        feed(plain, [(at, reading)])
    assert one.state() == plain.state()
    assert {name for name, n in one.counts.items() if n} == {"not_a_number", "implausible", "late"}


@pytest.mark.parametrize(
    ("role", "metric", "free"),
    [
        (DeviceRole.SWITCH, "power", True),
        (DeviceRole.STOVE, "power", False),
        (DeviceRole.STOVE, "temperature", False),
        (DeviceRole.CLIMATE, "temperature", False),
        (DeviceRole.CLIMATE, "humidity", False),
        (DeviceRole.CLIMATE, "illuminance", True),
        (DeviceRole.MOTION, "temperature", True),
        (DeviceRole.PRESENCE, "illuminance", True),
        (DeviceRole.GAS, "co_ppm", True),
        (DeviceRole.WEARABLE, "heart_rate", False),
        (DeviceRole.WEARABLE, "steps", False),
        (DeviceRole.GPS, "speed", False),
        (DeviceRole.MOTION, "battery", False),
        (DeviceRole.MOTION, "motion", False),
        (DeviceRole.BUTTON, "button", False),
    ],
)
def test_which_numbers_have_no_rule(role: DeviceRole, metric: str, free: bool) -> None:
    """Vital signs, positions, a room's climate, the stove and what supervision reads are judged elsewhere."""
    assert has_no_rule(role, metric) is free


def test_there_is_room_for_so_many() -> None:
    """Named series have their place; of the others the first heard; what has none is counted, and no memory grows."""
    devices = [Device(f"plug-{i}", DeviceRole.SWITCH) for i in range(40)]
    one = UnusualDetector(devices, Watched((("plug-39", "power"),), without_rule=True))
    for i in range(40):
        one.on_reading(Reading(f"plug-{i}", "power", START, 5.0), START)
    one.on_reading(Reading("nobody", "power", START, 5.0), START)
    kept = {device for device, *_ in one.state()["series"]}
    assert len(kept) == MOST_SERIES
    assert "plug-39" in kept
    assert one.counts["left_out"] == 40 - MOST_SERIES


def test_the_state_is_bounded() -> None:
    """After three weeks a series takes no more than it did after nine days, and under 24 kB."""
    one, sizes = detector(), []
    for n, (at, reading) in enumerate(rows(day(21))):
        feed(one, [(at, reading)])
        if n in (9 * A_DAY, 15 * A_DAY, 21 * A_DAY - 1):
            sizes.append(len(json.dumps(one.state())))
    assert max(sizes) < 24_000
    assert sizes[2] < 1.1 * sizes[0]


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1.0, 600.0, 3_600.0, 50_000.0, 400_000.0, -1.0, -3_600.0, -90_000.0]),
            st.floats(allow_nan=True, allow_infinity=True) | st.booleans() | st.text(max_size=3),
            st.sampled_from([0.0, 0.0, 0.0, -500.0, 90_000.0, math.nan]),
        ),
        max_size=150,
    )
)
def test_nothing_makes_it_fail(said: list[tuple[float, float | bool | str, float]]) -> None:
    """Any values at any times, the clock stepping: no error, a state that is one, told and ended in turn."""
    one, now, found = UnusualDetector(_DEVICES, Watched((_PLUG,)), row_s=3_600.0), START, []
    for passed, value, off in said:
        now += passed
        found += one.on_reading(Reading("plug", "power", now + off, value), now)
        found += one.on_tick(now)
    again = UnusualDetector(_DEVICES, Watched((_PLUG,)), row_s=3_600.0)
    again.restore(json.loads(json.dumps(one.state(), allow_nan=False)))
    assert again.state() == one.state()
    assert [d.cleared for d in found] == [n % 2 == 1 for n in range(len(found))]


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"v": 0},
        {"v": 1},
        {"v": 1, "row": 1, "notices": [math.nan], "series": []},
        {"v": 1, "row": 1, "notices": [], "series": [["plug", "power", "?"]]},
        {"v": 1, "row": 1, "notices": [], "series": [["plug", "power", "eJwDAAAAAAE="]]},
        {"v": 1, "row": 1, "notices": [], "series": [["plug", "power"]]},
    ],
)
def test_a_state_that_is_none_changes_nothing(broken: dict[str, object]) -> None:
    """Refused with ValueError; what was known stays."""
    one = detector()
    feed(one, rows(day(2)))
    known = one.state()
    with pytest.raises(ValueError, match="unusual"):
        one.restore(broken)
    assert one.state() == known


def test_a_series_that_is_watched_no_more_is_forgotten() -> None:
    """A state with two series, taken up where one is named."""
    both = detector(_PLUG, ("lux", "illuminance"))
    feed(both, rows(day(1)))
    one = detector()
    one.restore(json.loads(json.dumps(both.state())))
    assert [key[:2] for key in one.state()["series"]] == [list(_PLUG)]


_HOME = """[gateway]
id = "gw-1"
[cloud_broker]
host = "cloud"
[[devices]]
id = "plug"
role = "switch"
"""


def _load(tmp_path: Path, more: str) -> GatewayConfig:
    path = tmp_path / "gateway.toml"
    path.write_text(_HOME + more)
    return load(path)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('[[unusual.series]]\ndevice = "nobody"\nmetric = "power"\n', "no device nobody"),
        ('[[unusual.series]]\ndevice = "plug"\nmetric = "motion"\n', "numbers in a row"),
        ('[[unusual.series]]\ndevice = "plug"\nmetric = "lat"\n', "numbers in a row"),
        ('[[unusual.series]]\ndevice = "plug"\nmetric = "power"\n' * 2, "listed twice"),
        ("[unusual]\nnotices_per_day = 0\n", "notices_per_day"),
    ],
)
def test_wrong_configuration_is_named(tmp_path: Path, more: str, words: str) -> None:
    """One line that says what is wrong."""
    with pytest.raises(ConfigError, match=words):
        _load(tmp_path, more)


@pytest.mark.parametrize(
    ("more", "hosted"),
    [("", 0), ("[unusual]\nwithout_rule = true\n", 1), ('[[unusual.series]]\ndevice="plug"\nmetric="power"\n', 1)],
)
def test_it_is_hosted_where_it_is_asked_for(tmp_path: Path, more: str, hosted: int) -> None:
    """Off unless the configuration says what to watch."""
    assert [one.name for one in _load(tmp_path, more).own_detectors()].count("unusual") == hosted
