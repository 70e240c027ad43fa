"""What every detector with a memory owes: a restart changes nothing, nonsense and steps of the clock raise nothing."""

from __future__ import annotations

import functools
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.detectors.base import Detection, Detector, Stateful, TakesFrames, TakesReadings, TakesTime
from edge.detectors.facade import Detectors, Listed
from edge.detectors.home.climate import ClimateDetector
from edge.detectors.home.stove import StoveDetector
from edge.detectors.location.geofence import GeofenceDetector
from edge.detectors.location.wandering import WanderingDetector
from edge.detectors.trends import TrendDetector
from edge.detectors.unusual import MOST_SERIES, UnusualDetector, Watched
from edge.detectors.vitals import VitalsDetector
from edge.readings import Device, DeviceRole, Reading, SignalFrame
from protocols.metrics import METRICS, Type, Value
from protocols.wire import AlarmKind
from tests.edge.detectors.contract_cases import CASES, DEVICES, ZONE, Case, Moment
from tests.edge.detectors.location.test_walks import FENCES, HOURS
from tests.edge.detectors.location.walks import NOON

STEADY = [case for case in CASES if case.steady]
AT_ONCE = [case for case in CASES if not case.steady]
SILENCE_SPEAKS = ("routine", "habits", "bed", "departure")
"""Detectors to which silence says something: to them a lost message can be the event itself (nobody came back)."""
WITH_MEANING = [case for case in CASES if case.name != "series"]
"""To a series without a meaning every finite number is a value."""
_CUTS = 6
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def play(detector: Detector, stream: Sequence[Moment]) -> list[tuple[int, Detection]]:
    """What it finds, and at which moment."""
    found: list[tuple[int, Detection]] = []
    for n, (now, heard) in enumerate(stream):
        for one in heard:
            if isinstance(one, SignalFrame):
                found += [(n, d) for d in detector.on_frame(one)] if isinstance(detector, TakesFrames) else []
            elif isinstance(detector, TakesReadings):
                found += [(n, d) for d in detector.on_reading(one, now)]
        if isinstance(detector, TakesTime):
            found += [(n, d) for d in detector.on_tick(now)]
    return found


def kept(detector: Detector) -> Any:
    """Its state as it comes back from flash; not a number is no JSON."""
    assert isinstance(detector, Stateful)
    return json.loads(json.dumps(detector.state(), allow_nan=False))


@functools.cache
def _stream(case: Case) -> tuple[Moment, ...]:
    return tuple(case.stream())


@functools.cache
def _plain(case: Case) -> tuple[list[tuple[int, Detection]], Any]:
    detector = case.make()
    found = play(detector, _stream(case))
    return found, kept(detector)


@by_name
def test_the_event_is_found(case: Case) -> None:
    """Otherwise nothing below would prove anything."""
    assert any(not d.cleared for _, d in _plain(case)[0])


@by_name
def test_the_same_again(case: Case) -> None:
    """Another object fed the same says the same, to the last figure of its state."""
    detector = case.make()
    found = play(detector, _stream(case))
    assert (found, kept(detector)) == _plain(case)


@by_name
def test_a_restart_at_any_moment_changes_nothing(case: Case) -> None:
    """A new object with the state goes on with the same detections and ends in the same state; also a moment before
    and after the first detection.
    """
    stream, (found, end) = _stream(case), _plain(case)
    first = found[0][0]
    cuts = {round(len(stream) * (n + 1) / (_CUTS + 1)) for n in range(_CUTS)} | {first, first + 1}
    before, done = case.make(), 0
    for cut in sorted(cuts):
        play(before, stream[done:cut])
        done, again = cut, case.make()
        assert isinstance(again, Stateful)
        again.restore(kept(before))
        assert kept(again) == kept(before)
        rest = [(n + cut, d) for n, d in play(again, stream[cut:])]
        assert rest == [(n, d) for n, d in found if n >= cut]
        assert kept(again) == end


@pytest.mark.parametrize("case", STEADY, ids=lambda case: case.name)
@pytest.mark.parametrize("step", [-86_400.0, -3_600.0, 3_600.0, 86_400.0])
def test_a_step_of_the_clock_is_no_passing_of_time(case: Case, step: float) -> None:
    """The condition holds, but not yet for long enough; the clock steps; the next three moments raise nothing."""
    stream, first = _stream(case), _plain(case)[0][0][0]
    cut, detector = first - 4, case.make()
    later = [(now + step, [_moved(one, step) for one in heard]) for now, heard in stream[cut : cut + 3]]
    assert play(detector, [*stream[:cut], *later]) == []
    kept(detector)


@pytest.mark.parametrize("case", [c for c in AT_ONCE if c.name != "series"], ids=lambda case: case.name)
@pytest.mark.parametrize("step", [-86_400.0, -3_600.0, -1.0, 3_600.0, 86_400.0, 40 * 86_400.0])
def test_a_step_of_the_clock_adds_nothing(case: Case, step: float) -> None:
    """Where an event alarms at once or over weeks: wherever the clock steps, nothing is told that was not told without,
    and nothing more often.
    """
    stream, plain = _stream(case), Counter(d.reason for _, d in _plain(case)[0])
    for n in range(1, _CUTS):
        cut, detector = len(stream) * n // _CUTS, case.make()
        later = [(now + step, [_moved(one, step) for one in heard]) for now, heard in stream[cut:]]
        found = Counter(d.reason for _, d in play(detector, [*stream[:cut], *later]))
        assert found <= plain, f"the clock stepped at {cut} of {len(stream)}"
        kept(detector)


@pytest.mark.parametrize("case", [c for c in AT_ONCE if c.name != "trends"], ids=lambda case: case.name)
def test_a_step_of_the_clock_hides_nothing(case: Case) -> None:
    """What does not live by the calendar finds the same whatever the clock does."""
    stream, plain = _stream(case), [d.reason for _, d in _plain(case)[0]]
    for step in (-86_400.0, 86_400.0):
        for n in (2, 4):
            cut = len(stream) * n // _CUTS
            later = [(now + step, [_moved(one, step) for one in heard]) for now, heard in stream[cut:]]
            assert [d.reason for _, d in play(case.make(), [*stream[:cut], *later])] == plain


def _moved(one: Reading | SignalFrame, step: float) -> Reading | SignalFrame:
    return replace(one, at=one.at + step)


@pytest.mark.parametrize("case", [c for c in CASES if c.name not in SILENCE_SPEAKS], ids=lambda case: case.name)
@pytest.mark.parametrize("seed", range(3))
def test_gaps_add_nothing(case: Case, seed: int) -> None:
    """Every third message is lost, and long stretches: no reason that was not there without, and nothing breaks."""
    rng, detector = random.Random(seed), case.make()
    quiet, stream = 0, []
    for now, heard in _stream(case):
        quiet = rng.randrange(60) if rng.random() < 0.01 else max(0, quiet - 1)
        stream.append((now, [one for one in heard if not quiet and rng.random() < 0.67]))
    found = play(detector, stream)
    assert {d.reason for _, d in found} <= {d.reason for _, d in _plain(case)[0]}
    kept(detector)


@by_name
@pytest.mark.parametrize("seed", range(2))
def test_what_unrelated_sensors_say_in_between_does_not_matter(case: Case, seed: int) -> None:
    """Devices that have nothing to do with the event speak in every moment, before, between and after: the same is
    found at the same moments.
    """
    rng, stream = random.Random(seed), []
    for now, heard in _stream(case):
        strangers = [
            Reading("cellar", metric, now, value) for metric, value in (("illuminance", 20.0), ("humidity", 60.0))
        ]
        mixed = [*heard]
        for one in strangers:
            mixed.insert(rng.randrange(len(mixed) + 1), one)
        stream.append((now, mixed))
    assert play(case.make(), stream) == _plain(case)[0]


def _nonsense(one: Reading | SignalFrame, n: int) -> list[Reading | SignalFrame]:
    """What a broken sensor or bridge says in its place."""
    if isinstance(one, SignalFrame):
        bad = np.full_like(one.samples, (math.nan, math.inf, 0.0, 1e30)[n % 4])
        return [SignalFrame(one.device, one.seq, one.at, one.rate_hz, one.channels, bad, one.full_scale_g)]
    kind = METRICS[one.metric].type
    wrong: list[Value] = [math.nan, math.inf, -math.inf, 1e300, -1e300, "98.6", ""]
    wrong += [] if kind is Type.FLAG else [True, False]
    at = (one.at, one.at, math.nan, one.at - 80_000, one.at + 299)[n % 5]
    return [Reading(one.device, one.metric, at, wrong[n % len(wrong)])]


@pytest.mark.parametrize("case", WITH_MEANING, ids=lambda case: case.name)
def test_nonsense_alone_raises_nothing(case: Case) -> None:
    """Every value wrong: nothing is raised, nothing breaks, and the state is still one."""
    detector = case.make()
    stream = [(now, [w for one in heard for w in _nonsense(one, n)]) for n, (now, heard) in enumerate(_stream(case))]
    found = play(detector, stream)
    assert [d for _, d in found if not d.cleared] == []
    again = case.make()
    assert isinstance(again, Stateful)
    again.restore(kept(detector))


@by_name
def test_nonsense_among_sound_values_breaks_nothing(case: Case) -> None:
    """A wrong value before each sound one: no error, and no reason that was not there without."""
    stream = []
    for n, (now, heard) in enumerate(_stream(case)):
        mixed = [w for one in heard for w in ([*_nonsense(one, n), one] if isinstance(one, Reading) else [one])]
        stream.append((now, mixed))
    detector = case.make()
    found = play(detector, stream)
    assert {d.reason for _, d in found} <= {d.reason for _, d in _plain(case)[0]}
    kept(detector)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("body_temperature", 98.6),
        ("body_temperature", 104.0),
        ("body_temperature", 310.0),
        ("spo2", 0.97),
        ("heart_rate", 1.2),
        ("respiration_rate", 0.25),
        ("systolic", 16.0),
        ("systolic", 16_000.0),
        ("diastolic", 10.6),
        ("glucose", 90.0),
        ("weight", 154.0),
        ("temperature", 77.0),
        ("temperature", 295.0),
        ("humidity", 0.55),
        ("power", 1.5),
    ],
)
def test_a_wrong_unit_never_alarms(metric: str, value: float) -> None:
    """Fahrenheit, kelvin, fractions, hertz, kilopascal, mg/dl, pounds and kilowatts for a day, as if a source did not
    convert.
    """
    detectors = (VitalsDetector(), TrendDetector(ZONE), ClimateDetector(DEVICES), StoveDetector(DEVICES))
    stream: list[Moment] = [
        (NOON + t, [Reading(device, metric, NOON + t, value) for device in ("air", "stove")])
        for t in range(0, 86_400, 300)
    ]
    assert [d for one in detectors for d in play(one, stream)] == []


@pytest.mark.parametrize(
    ("lat", "lon"), [(225_431_000.0, 1_140_579_000.0), (2.69e8, 1.36e9), (2_232.586, 11_403.474), (114.0579, 22.5431)]
)
def test_a_position_in_another_unit_never_alarms(lat: float, lon: float) -> None:
    """Units of 1e-7 degrees, semicircles, degrees and minutes as NMEA writes them, and longitude first: for an hour."""
    values = {"lat": lat, "lon": lon, "accuracy": 8.0}
    stream: list[Moment] = [
        (NOON + t, [Reading("phone", metric, NOON + t, value) for metric, value in values.items()])
        for t in range(0, 3_600, 20)
    ]
    detectors = (GeofenceDetector("phone", FENCES, HOURS), WanderingDetector("phone", "always", HOURS, FENCES))
    assert [d for one in detectors for d in play(one, stream)] == []
    assert all(one.counts["implausible"] for one in detectors)


@settings(max_examples=5)
@given(st.randoms(use_true_random=False))
def test_order_of_unrelated_sensors_does_not_matter(rng: Any) -> None:
    """Several events at once in one home: in whatever order the sensors of a moment speak, the same is found."""
    assert _home(lambda heard: _shuffled(heard, rng)) == _home(list) != []


def _home(order: Callable[[list[Reading | SignalFrame]], list[Reading | SignalFrame]]) -> list[tuple[object, ...]]:
    """What several detectors say of several events at once."""
    together: dict[float, list[Reading | SignalFrame]] = {}
    light = [case for case in CASES if case.light]
    for case in light:
        for now, heard in _stream(case):
            together.setdefault(now, []).extend(heard)
    home, found = Detectors([Listed(case.name, case.make) for case in light]), []
    for now, heard in sorted(together.items(), key=lambda moment: moment[0]):
        for one in order(heard):
            assert isinstance(one, Reading)
            found += home.on_reading(one, now)
        found += home.on_tick(now)
    assert home.take_failures() == []
    assert {d.kind for d in found} >= {AlarmKind.VITALS, AlarmKind.GEOFENCE, AlarmKind.STOVE, AlarmKind.SMOKE}
    return sorted((d.kind, d.device, d.reason, d.cleared, d.at) for d in found)


@pytest.mark.parametrize("restart", [False, True])
def test_order_does_not_matter_to_unusual_numbers(restart: bool) -> None:
    """More numbers without a rule than there is room for, rows of an hour: in whatever order they speak, and with a
    restart in the middle of each row, the same ones are watched and the same is told of them.
    """
    rng = random.Random(3)
    plugs = [f"plug-{n:02}" for n in range(MOST_SERIES + 3)]
    stream: list[Moment] = []
    for n in range(24 * 14):
        wrong = 24 * 12 <= n < 24 * 12 + 8
        values = {plug: 40 + 30 * (7 <= n % 24 < 22) + rng.gauss(0, 1) for plug in plugs}
        values |= {plug: 400.0 * (n % 2) for plug in plugs[:2] if wrong}
        stream.append((NOON + n * 3600, [Reading(plug, "power", NOON + n * 3600, v) for plug, v in values.items()]))

    def home() -> UnusualDetector:
        return UnusualDetector([Device(plug, DeviceRole.SWITCH) for plug in plugs], Watched(without_rule=True), 3600.0)

    def told(order: Callable[[list[Reading | SignalFrame]], list[Reading | SignalFrame]]) -> tuple[Any, Any]:
        one, found = home(), []
        for now, heard in stream:
            mixed = order(heard)
            found += play(one, [(now, mixed[:7])])
            if restart and now < NOON + 3 * 3600:
                before, one = kept(one), home()
                one.restore(before)
            found += play(one, [(now, mixed[7:])])
        return sorted((d.at, d.device, d.cleared) for _, d in found), kept(one)

    plain = told(list)
    assert [entry[0] for entry in plain[1]["series"]] == plugs[:MOST_SERIES]
    assert {device for _, device, _ in plain[0]} == {*plugs[:2]}
    assert told(lambda heard: _shuffled(heard, rng)) == plain


def _shuffled(heard: list[Reading | SignalFrame], rng: Any) -> list[Reading | SignalFrame]:
    """The sensors in any order, each with its own readings in theirs."""
    devices = sorted({one.device for one in heard})
    rng.shuffle(devices)
    return [one for device in devices for one in heard if one.device == device]
