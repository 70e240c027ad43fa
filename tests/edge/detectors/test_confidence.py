"""How sure each detector says it is, and what that makes of its priority in a home."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edge.alarms import Alarms
from edge.alarms.ladder import Daytime, Ladders
from edge.alarms.weighing import DOUBT, Risk
from edge.clock import Instant
from edge.detectors.base import Detection
from edge.detectors.fall import FallDetector
from edge.detectors.fall_model import models_for
from edge.detectors.location.geofence import GeofenceDetector
from edge.detectors.routine import RoutineDetector
from edge.evaluate.track import replay
from edge.readings import BodyPosition, Device, Reading, Sensitivity
from protocols.wire import Priority
from tests.edge.detectors import fall_physics, test_bed, test_routine
from tests.edge.detectors.location.test_walks import FENCES, HOURS, WAYS, rows_of
from tests.edge.detectors.location.walks import HOME, NOON, Receiver, received, walk


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
