"""How sure each detector says it is, and what that makes of its priority in a home."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.alarms import Alarms
from edge.alarms.ladder import Daytime, Ladders
from edge.alarms.weighing import DOUBT, Risk
from edge.clock import Instant
from edge.detectors.base import Detection, TakesReadings, TakesTime
from edge.detectors.certainty import beyond, freshness, unlike
from edge.detectors.fall import FallDetector
from edge.detectors.fall_model import models_for
from edge.detectors.home.climate import ClimateDetector
from edge.detectors.home.stove import StoveDetector
from edge.detectors.location.geofence import GeofenceDetector
from edge.detectors.news2 import ORDER, Observation, Sign, holds, score
from edge.detectors.routine import RoutineDetector
from edge.detectors.trends import TrendDetector
from edge.detectors.vitals import VitalsDetector
from edge.evaluate.track import replay
from edge.readings import BodyPosition, Device, DeviceRole, Reading, Sensitivity
from protocols.metrics import Value
from protocols.wire import Priority
from tests.edge.detectors import fall_physics, test_bed, test_habits, test_routine
from tests.edge.detectors.location.test_walks import FENCES, HOURS, WAYS, rows_of
from tests.edge.detectors.location.walks import HOME, NOON, Receiver, received, walk

ZONE = ZoneInfo("Asia/Shanghai")


def raised(detection: Detection, *risks: Risk) -> Priority:
    """The priority of its alarm in a home with these risks."""
    alarms = Alarms({}, Ladders(Daytime(ZoneInfo("Asia/Shanghai"))), random.Random(1), risks=risks)
    alarms.detect(detection, Instant(detection.at, 1_000.0))
    (alarm,) = alarms.open
    assert alarm.evidence[-1].numbers["confidence"] == pytest.approx(detection.confidence, abs=0.001)
    return alarm.priority


def _exit(ways: Iterable[tuple[float, float]]) -> Detection:
    """The first exit on (seconds, metres east) with an accuracy of 30 m."""
    detector, found = GeofenceDetector("phone", FENCES, HOURS), []
    for seconds, east in ways:
        lat, lon = HOME.degrees((east, 0.0))
        for metric, value in (("accuracy", 30.0), ("lat", lat), ("lon", lon)):
            found += detector.on_reading(Reading("phone", metric, NOON + seconds, value), NOON + seconds)
        found += detector.on_tick(NOON + seconds + 3)
    return found[0]


def test_an_exit_that_begins_with_a_leap_is_doubted() -> None:
    """Just beyond the fence: a step lower if nobody can have got there in the time, else as an exit is."""
    walked = _exit([(t * 10.0, min(240.0, 10.0 * t)) for t in range(80)])
    leapt = _exit([*((t * 10.0, 0.0) for t in range(6)), *((51.0 + t * 10.0, 240.0) for t in range(40))])
    assert leapt.confidence < DOUBT <= walked.confidence
    assert (raised(walked), raised(leapt)) == (Priority.MEDIUM, Priority.LOW)
    assert raised(leapt, Risk.DEMENTIA) is Priority.MEDIUM


@pytest.mark.parametrize(
    ("receiver", "priority"), [(Receiver(5, 8), Priority.MEDIUM), (Receiver(10, 15), Priority.LOW)]
)
def test_a_walk_without_a_goal_is_doubted_where_fixes_are_coarse(receiver: Receiver, priority: Priority) -> None:
    """To 15 m one errand in five looks like it."""
    for seed in range(20):
        rng = random.Random(seed)
        way = walk([(x + 1000, y) for x, y in WAYS["random"](rng)], rng.uniform(0.6, 1.1))
        found = replay(rows_of(list(received(way, receiver, rng))), FENCES, HOURS).alarms
        random_ones = [d for d in found if d.reason == "wandering_random"]
        if random_ones:
            assert raised(random_ones[0]) is priority
            return
    pytest.fail("no such walk was found")


def _quiet(devices: tuple[Device, ...], dead: frozenset[str], days: int) -> Detection:
    """A silence after so many days; `dead` sensors have said nothing since the evening before."""
    detector, rng = RoutineDetector(devices, test_routine.profile()), random.Random(1)
    stop = test_routine.START + days * test_routine.DAY + 10 * 3600
    readings = [r for n in range(days + 1) for r in test_routine.day(n, rng) if r.at < stop]
    last = stop - 12 * 3600
    for device in devices:
        until = last if device.id in dead else stop + 86_400
        beats = range(int(test_routine.START), int(until), 600)
        readings += [Reading(device.id, "battery", float(at), 80.0) for at in beats]
    readings = [r for r in readings if r.device not in dead or r.at < last]
    found = test_routine.feed(detector, sorted(readings, key=lambda r: r.at), stop + 86_400)
    return next(d for d in found if d.reason != "condition_ended" and d.at > last)


def test_a_silence_of_half_a_home_is_doubted() -> None:
    """Heard whole it is a medium alarm; with few days known and some of it deaf it is a step lower, and for somebody
    who falls often medium again.
    """
    watched = tuple(Device(d.id, d.role, d.room, d.position, 600.0) for d in test_routine.HOME)
    whole = _quiet(watched, frozenset(), 14)
    assert whole.confidence > 0.9
    assert raised(whole) is Priority.MEDIUM
    part = _quiet(watched, frozenset({"pir-2", "fridge"}), 1)
    assert part.reason == "quiet_beyond_fixed_limit"
    assert part.evidence[0].numbers["share_heard"] < 0.83
    assert raised(part) is Priority.LOW
    assert raised(part, Risk.FALLS) is Priority.MEDIUM


def test_a_limit_from_more_nights_is_surer() -> None:
    """An exit beyond the fixed limit, and one beyond that of two weeks: both are medium."""
    sure = []
    for nights in (0, 14):
        detector, _ = test_bed.lived(nights)
        noon = test_bed.NOON + nights * test_bed.DAY
        changes = [(noon - 600, False), (noon + 36_000, True), (noon + 50_400, False), (noon + 57_600, True)]
        found = test_bed.feed(detector, changes, noon - 900 if nights == 0 else noon, noon + 61_200)
        sure.append(found[0].confidence)
        assert raised(found[0]) is Priority.MEDIUM
    assert sure[0] == pytest.approx(0.6)
    assert sure[1] > 0.9


def test_a_fall_is_as_sure_as_the_model() -> None:
    """Its confidence is calibrated: it grows with the score, and differs between the thresholds; it stays high."""
    page = Path("docs/detectors/home.md").read_text(encoding="utf-8")
    for position in (BodyPosition.WAIST, BodyPosition.WRIST):
        (model,) = models_for(position)
        at = [model.confidence(model.thresholds[s]) for s in (Sensitivity.HIGH, Sensitivity.NORMAL, Sensitivity.LOW)]
        assert at == sorted(at)
        assert at[0] < DOUBT < at[-1]
        assert f"{position} " + ", ".join(f"{sure:.2f}" for sure in at) in page
    signal, _ = fall_physics.fall(peak=6.0, after_s=12.0)
    detector = FallDetector("w", BodyPosition.WAIST)
    (found,) = [d for frame in fall_physics.frames(signal, at=NOON) for d in detector.on_frame(frame)]
    assert raised(found) is Priority.HIGH


@given(st.floats(-50, 50), st.floats(0, 10), st.floats(0.01, 20))
def test_further_beyond_is_surer(margin: float, more: float, error: float) -> None:
    """Never below a half, never above 1, and a larger error never makes it surer."""
    assert 0.5 <= beyond(margin, error) <= beyond(margin + more, error) <= 1
    assert beyond(margin, error + more) <= beyond(margin, error)


@given(st.integers(0, 500), st.floats(-10, 1_000), st.floats(0, 1_000))
def test_more_days_and_newer_values_are_surer(known: int, age: float, older: float) -> None:
    """From a half to 1."""
    assert 0.5 <= unlike(known) <= unlike(known + 1) < 1
    assert 0.5 <= freshness(age + older, 300.0) <= freshness(age, 300.0) <= 1


_SIGNS = st.fixed_dictionaries(
    {
        "respiration": st.none() | st.floats(4, 40),
        "spo2": st.none() | st.floats(70, 100),
        "oxygen": st.none() | st.booleans(),
        "systolic": st.none() | st.floats(60, 250),
        "pulse": st.none() | st.floats(30, 160),
        "consciousness": st.none() | st.sampled_from("AV"),
        "temperature": st.none() | st.floats(33, 41),
        "scale2": st.booleans(),
    }
)


@settings(max_examples=30)
@given(_SIGNS, st.lists(st.floats(0, 1), min_size=7, max_size=7), st.sampled_from(list(Sign)))
def test_a_score_is_as_sure_as_the_readings_it_rests_on(
    values: dict[str, float | str | bool | None], chances: list[float], worse: Sign
) -> None:
    """A level that the score has not is impossible; no doubt in the readings leaves none in the level; a reading that
    is surer never makes a level less sure, nor is a higher level ever surer than a lower one.
    """
    seen = Observation(**values)  # type: ignore[arg-type]
    total, doubts = score(seen), dict(zip(Sign, chances, strict=True))
    sure = {level: holds(seen, level, doubts) for level in ORDER}
    order = [*sure.values()]
    assert order[0] == pytest.approx(1)
    assert all(a >= b - 1e-9 for a, b in pairwise(order))
    assert holds(seen, total.risk, {}) == 1
    for level, chance in sure.items():
        assert holds(seen, level, doubts | {worse: 1.0}) <= chance + 1e-9


def _told(detector: TakesReadings, said: Iterable[tuple[float, str, str, Value]], tick_s: float = 0.0) -> Detection:
    """The last that is told; with `tick_s` time goes on between the readings in such steps."""
    found: list[Detection] = []
    now: float | None = None
    for at, device, metric, value in said:
        while tick_s and now is not None and now + tick_s < at and isinstance(detector, TakesTime):
            now += tick_s
            found += detector.on_tick(now)
        now = at
        found += detector.on_reading(Reading(device, metric, at, value), at)
    return [d for d in found if not d.cleared][-1]


def _oximeter(pressure_at: float, *more: tuple[str, float]) -> Detection:
    """A saturation of 91 (3 points) and, from so many seconds before, a pressure of 95 (2)."""
    signs = (("spo2", 91.0), *more)
    said = [(NOON - pressure_at, "cuff", "systolic", 95.0)]
    said += [(NOON + t, "oxi", metric, value) for t in range(0, 121, 5) for metric, value in signs]
    return _told(VitalsDetector(), sorted(said))


def test_an_early_warning_is_as_sure_as_its_readings() -> None:
    """A pressure of hours ago makes the score less sure, a third sign that scores makes it surer; it stays medium."""
    old, new, three = _oximeter(13_000), _oximeter(30), _oximeter(30, ("heart_rate", 115.0))
    assert {d.reason for d in (old, new)} == {"news2_5_or_more"}
    assert 0.5 < old.confidence < new.confidence < 1
    assert raised(old) is raised(new) is Priority.MEDIUM
    assert three.reason == "news2_7_or_more"
    assert raised(three) is Priority.HIGH


@pytest.mark.parametrize(
    ("metric", "near", "far", "every"),
    [
        ("glucose", [3.8, 3.8], [3.2, 3.2], 600),
        ("glucose", [14.1, 14.1], [18.0, 18.0], 600),
        ("body_temperature", [37.9, 37.9], [38.6, 38.6], 3_600),
        ("body_temperature", [34.9, 34.9], [34.3, 34.3], 3_600),
        ("systolic", [181.0, 181.0], [200.0, 200.0], 600),
        ("systolic", [136.0, 137.0] * 4, [151.0, 150.0] * 4, 43_200),
        ("systolic", [99.0, 98.0] * 4, [90.0, 88.0] * 4, 43_200),
        ("weight", [70.0, 71.6], [70.0, 73.0], 86_400),
    ],
)
def test_a_trend_far_beyond_its_limit_is_surer(
    metric: str, near: Sequence[float], far: Sequence[float], every: float
) -> None:
    """By what a home's device errs by; what only just passes the limit is hardly more than even."""
    sure = []
    for values in (near, far):
        said = [(NOON + n * every, "x", metric, value) for n, value in enumerate(values)]
        sure.append(_told(TrendDetector(ZONE), said))
    assert 0.5 <= sure[0].confidence < 0.9 < sure[1].confidence
    assert sure[0].reason == sure[1].reason
    assert raised(sure[0]) is raised(sure[1])


def test_a_drift_is_as_sure_as_the_days_it_rests_on() -> None:
    """The same illness after two weeks and after six."""
    sure = []
    for days in (15, 42):
        rng, detector = random.Random(3), TrendDetector(ZONE)
        pulse = [(NOON + n * 7_200, 66 + rng.gauss(0, 2) + 8 * (n >= days * 12)) for n in range((days + 8) * 12)]
        drift = _told(detector, [(at, "w", "heart_rate", value) for at, value in pulse])
        assert drift.reason == "not_well_lately"
        sure.append(drift.confidence)
    assert 0.9 < sure[0] < sure[1]


def test_a_habit_is_as_sure_as_what_is_known_of_it() -> None:
    """A stay beyond the fixed limit and beyond that of three weeks; with some of the home deaf it is less sure."""
    stop = {days: test_habits.START + days * test_habits.DAY + 10 * test_habits.HOUR for days in (2, 21)}
    sure = []
    for days, deaf in ((2, False), (21, False), (21, True)):
        detector, at = test_habits.lived(days), stop[days]
        said = [Reading("fridge", "battery", at - 400, 0.0)] if deaf else []
        said += [Reading("pir-living", "motion", at - 300, True), Reading("pir-bath", "motion", at, True)]
        found = test_habits.feed(detector, said, at - 600, at + 2 * test_habits.HOUR)
        sure.append(next(d for d in found if d.reason == "bathroom_stay_long").confidence)
    assert sure[0] == pytest.approx(0.6)
    assert sure[1] > 0.95
    assert sure[2] < sure[1]


def test_a_cold_room_is_as_sure_as_its_thermometer() -> None:
    """Just below the level and well below it; and well below it by a value of hours ago."""
    air = (Device("air", DeviceRole.CLIMATE, "bedroom"),)

    def cold(celsius: float, last_s: float) -> Detection:
        said: list[tuple[float, str, str, Value]] = [(NOON, "air", "temperature", celsius)]
        said += [(NOON + t, "air", "temperature", celsius) for t in range(600, int(last_s) + 1, 600)]
        return _told(ClimateDetector(air), [*said, (NOON + 9_000, "air", "humidity", 200.0)], 60.0)

    near, far, old = cold(11.8, 9_000), cold(10.2, 9_000), cold(10.2, 600)
    assert {d.reason for d in (near, far, old)} == {"cold_below_12"}
    assert 0.5 < near.confidence < old.confidence < far.confidence
    assert {raised(d) for d in (near, far, old)} == {Priority.MEDIUM}


def test_heat_is_surer_where_the_humidity_is_known() -> None:
    """The same heat index, of air that is known to be humid and of dry air that may be anything."""
    air = (Device("air", DeviceRole.CLIMATE, "bedroom"),)
    sure = []
    for celsius, humidity in ((34.0, 60.0), (42.0, None)):
        said: list[tuple[float, str, str, Value]] = []
        for t in range(0, 10_000, 600):
            said += [] if humidity is None else [(NOON + t, "air", "humidity", humidity)]
            said.append((NOON + t, "air", "temperature", celsius))
        told = _told(ClimateDetector(air), said, 60.0)
        assert told.reason == "heat_danger"
        sure.append(told.confidence)
    assert sure[0] > sure[1] > 0.5


def test_a_stove_is_as_sure_as_what_is_heard_of_it() -> None:
    """An eye that has spoken, and one that never did; a stove heard just now, and one of which the last word is old."""
    home = (Device("stove", DeviceRole.STOVE, "kitchen"), Device("pir", DeviceRole.MOTION, "kitchen"))

    def alone(*eyes: tuple[float, str, str, Value], heard_s: int = 1_000) -> Detection:
        said: list[tuple[float, str, str, Value]] = [
            (NOON + t, "stove", "power", 900.0) for t in range(0, heard_s + 1, 100)
        ]
        return _told(StoveDetector(home), sorted([*said, *eyes, (NOON + 1_000, "x", "battery", 5.0)]), 5.0)

    awake = alone((NOON, "pir", "battery", 80.0))
    deaf, old = alone(), alone((NOON, "pir", "battery", 80.0), heard_s=100)
    assert deaf.confidence < awake.confidence
    assert old.confidence < awake.confidence
    assert {raised(d) for d in (awake, deaf, old)} == {Priority.MEDIUM}
