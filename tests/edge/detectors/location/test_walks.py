"""Simulated walks: exits, leaps, rides and wandering, with precision and recall."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from edge.detectors.base import Detection
from edge.detectors.facade import Detectors
from edge.detectors.location.fences import Fence, circle
from edge.detectors.location.geometry import Point
from edge.detectors.location.hours import Hours
from edge.evaluate.track import Row, replay, scored, true_stays
from edge.location_config import position_detectors
from edge.readings import Reading
from protocols.wire import AlarmKind, Priority
from tests.edge.detectors.location.walks import HOME, NOON, Receiver, Seen, home_life, received, rest, walk

HOURS = Hours(ZoneInfo("Asia/Shanghai"))
_RADIUS_M = 200.0
FENCES: tuple[Fence, ...] = (circle("home", HOME.lat, HOME.lon, _RADIUS_M),)


def rows_of(seen: list[Seen]) -> list[Row]:
    return [
        Row(s.at, {"accuracy": s.accuracy, "lat": s.lat, "lon": s.lon}, math.hypot(*s.truth) > _RADIUS_M) for s in seen
    ]


def outing(seed: int) -> list[tuple[float, Point]]:
    """An hour around the home, a walk beyond the fence, and an hour at home again."""
    rng = random.Random(seed)
    way = home_life(3600, rng)
    far, toward = rng.uniform(320, 900), rng.uniform(0, 2 * math.pi)
    goal = (far * math.cos(toward), far * math.sin(toward))
    way = rest([*way, *walk([way[-1][1], goal], rng.uniform(0.6, 1.2), way[-1][0])[1:]], 600)
    return rest([*way, *walk([goal, (0.0, 0.0)], rng.uniform(0.6, 1.2), way[-1][0])[1:]], 3600)


@pytest.mark.parametrize(
    ("receiver", "delay_s"),
    [
        (Receiver(), 90),
        (Receiver(5, 15, leaps=0.02), 120),
        (Receiver(10, 15, leaps=0.02, lies=True), 200),
        (Receiver(60, 30, gaps=0.2), 200),
        (Receiver(15, 60), 200),
    ],
    ids=["good", "poor leaps", "leaps that lie", "sparse", "poor"],
)
def test_every_exit_and_no_other(receiver: Receiver, delay_s: float) -> None:
    """Recall and precision are 1 over eight outings, and the median delay stays in bounds."""
    total: Counter[str] = Counter()
    delays = []
    for seed in range(8):
        rows = rows_of(list(received(outing(seed), receiver, random.Random(seed))))
        figures = scored([d.at for d in replay(rows, FENCES, HOURS).exits], true_stays(rows) or [])
        total.update({k: figures[k] for k in ("true_exits", "exits_found", "false_exits", "exits_said_again")})
        delays.append(figures["delay_median_s"])
    assert total == {"true_exits": 8, "exits_found": 8, "false_exits": 0, "exits_said_again": 0}
    assert sorted(delays)[4] <= delay_s


@pytest.mark.parametrize("lies", [False, True])
def test_leaps_at_home_are_no_exit(lies: bool) -> None:
    """Twelve hours at home with a leap in every twentieth fix raise nothing."""
    for seed in range(4):
        rng = random.Random(seed)
        seen = list(received(home_life(3 * 3600, rng), Receiver(10, 15, leaps=0.05, lies=lies), rng))
        assert sum(math.dist(s.truth, HOME.at(s.lat, s.lon)) > 250 for s in seen) > 20
        assert replay(rows_of(seen), FENCES, HOURS).exits == []


def test_a_circle_that_touches_is_not_outside() -> None:
    """Half an hour 30 m beyond the edge with an accuracy of 50 m is no exit; with 10 m it is."""
    for accuracy, exits in ((50.0, 0), (10.0, 1)):
        lat, lon = HOME.degrees((_RADIUS_M + 30, 0.0))
        rows = [Row(NOON + 10 * i, {"lat": lat, "lon": lon, "accuracy": accuracy}, None) for i in range(180)]
        assert len(replay(rows, FENCES, HOURS).exits) == exits


def test_along_the_edge_there_is_one_exit() -> None:
    """Who walks up and down across the edge is outside once: inside wants a stay within."""
    way = walk([(0.0, 0.0), (260.0, 0.0), *[(260.0 - 70 * (i % 2), 10.0 * i) for i in range(8)]], 1.0)
    rows = rows_of(list(received(way, Receiver(5, 8), random.Random(1))))
    assert len(replay(rows, FENCES, HOURS).exits) == 1


@pytest.mark.parametrize(("hour", "speed", "reason"), [(4, 1.0, "left_safe_area"), (15, 1.0, "left_at_night")])
def test_reason_and_priority(hour: int, speed: float, reason: str) -> None:
    """At night an exit is high; the detection says where."""
    way = rest(walk([(0.0, 0.0), (500.0, 0.0)], speed, NOON + (hour - 4) * 3600), 300)
    found = replay(rows_of(list(received(way, Receiver(), random.Random(2)))), FENCES, HOURS).exits
    assert [d.reason for d in found] == [reason]
    assert found[0].priority is (Priority.HIGH if "night" in reason else Priority.MEDIUM)
    assert found[0].position is not None
    assert found[0].confidence > 0.8


def test_a_bus_is_an_exit_but_no_wandering() -> None:
    """Round and round in a bus at 8 m/s: the exit says so, and nobody wanders."""
    circuit = [(600 + 150 * math.cos(a), 150 * math.sin(a)) for a in (2 * math.pi * i / 16 for i in range(80))]
    way = walk([(0.0, 0.0), *circuit], 8.0)
    found = replay(rows_of(list(received(way, Receiver(5, 8), random.Random(3)))), FENCES, HOURS)
    assert [d.reason for d in found.exits] == ["left_in_vehicle"]
    assert found.episodes == []


def _laps(rng: random.Random) -> list[Point]:
    radius = rng.uniform(40, 80)
    return [(radius * math.cos(math.pi * i / 12), radius * math.sin(math.pi * i / 12)) for i in range(97)]


def _pacing(rng: random.Random) -> list[Point]:
    length = rng.uniform(70, 120)
    return [(length * (i % 2), 0.0) for i in range(13)]


def _random(rng: random.Random) -> list[Point]:
    return [(rng.uniform(0, 130), rng.uniform(0, 130)) for _ in range(22)]


def _errand(rng: random.Random) -> list[Point]:
    there = [(0.0, 0.0), (rng.uniform(200, 400), 20.0), (rng.uniform(200, 400), rng.uniform(150, 300))]
    return [*there, *reversed(there[:-1])]


def _direct(rng: random.Random) -> list[Point]:
    return [(300.0 * i, rng.uniform(-120, 120)) for i in range(5)]


WAYS: dict[str, Callable[[random.Random], list[Point]]] = {
    "lapping": _laps,
    "pacing": _pacing,
    "random": _random,
    "errand": _errand,
    "direct": _direct,
}


def test_patterns_after_martino_saltzman() -> None:
    """Over 12 walks of each kind with a good receiver: wandering is found, and direct travel is none."""
    found: dict[str, Counter[str]] = {name: Counter() for name in WAYS}
    for name, make in WAYS.items():
        for seed in range(12):
            rng = random.Random(seed)
            way = walk([(x + 1000, y) for x, y in make(rng)], rng.uniform(0.6, 1.1))
            episodes = replay(rows_of(list(received(way, Receiver(5, 8), rng))), FENCES, HOURS).episodes
            found[name][episodes[0].pattern if episodes else "none"] += 1
    hits = sum(12 - found[name]["none"] for name in ("lapping", "pacing", "random"))
    false = sum(12 - found[name]["none"] for name in ("errand", "direct"))
    assert hits / 36 >= 0.9, found  # recall
    assert hits / (hits + false) >= 0.95, found  # precision
    assert all(found[name][name] >= 9 for name in ("lapping", "pacing", "random")), found


def test_wandering_is_an_alarm_outside_or_at_night_only() -> None:
    """Laps in the garden by day are counted; beyond the fence or at night they are told."""
    for offset, hours, alarms in ((0.0, 0.0, 0), (1000.0, 0.0, 1), (0.0, 11.0, 1)):
        way = walk([(x + offset, y) for x, y in _laps(random.Random(1))], 0.9, NOON + hours * 3600)
        found = replay(rows_of(list(received(way, Receiver(5, 8), random.Random(1)))), FENCES, HOURS)
        assert [e.pattern for e in found.episodes] == ["lapping"]
        assert [d.kind for d in found.alarms] == [AlarmKind.WANDERING] * alarms


def _run(rows: list[Row], restart_at: set[int]) -> list[Detection]:
    """The same rows with restarts: the state goes through JSON into new detectors."""
    listed = position_detectors("phone-1", FENCES, HOURS, "outside")
    hosted, found = Detectors(listed), []
    for i, row in enumerate(rows):
        if i in restart_at:
            state, hosted = json.loads(json.dumps(hosted.state())), Detectors(listed)
            assert hosted.restore(state) == {}
        for name, value in row.values.items():
            found += hosted.on_reading(Reading("phone-1", name, row.at, value), row.at)
        found += hosted.on_tick(row.at + 1)
    return found


def test_a_restart_at_any_moment_changes_nothing() -> None:
    """Restarts in the dwell, outside and on the way back give the same exit and return."""
    way = rest(walk([(0.0, 0.0), (260.0, 0.0), *_laps(random.Random(4)), (0.0, 0.0)], 0.9), 300)
    rows = rows_of(list(received(way, Receiver(10, 8), random.Random(4))))
    whole = _run(rows, set())
    assert AlarmKind.GEOFENCE in {d.kind for d in whole}
    assert any(d.cleared for d in whole)
    assert _run(rows, set(range(0, len(rows), 3))) == whole


def test_order_of_the_parts_of_a_fix_does_not_matter() -> None:
    """Accuracy may come first or last."""
    way = rest(walk([(0.0, 0.0), (500.0, 0.0)], 1.0), 200)
    rows = rows_of(list(received(way, Receiver(), random.Random(5))))
    turned = [Row(r.at, dict(reversed(r.values.items())), r.outside) for r in rows]
    assert _run(rows, set()) == _run(turned, set())


def test_wrong_input_never_alarms() -> None:
    """NaN, swapped degrees, zero, a clock that leaps and goes back: nothing is raised at home, nothing fails."""
    nan, (lat, lon) = float("nan"), HOME.degrees((0.0, 0.0))
    wrong = [{"lat": nan, "lon": lon}, {"lat": lon, "lon": lat}, {"lat": 0.0, "lon": 0.0}, {"lat": 91.0, "lon": lon}]
    wrong += [
        {"lat": lat, "lon": lon, "accuracy": -5.0},
        {"lat": lat},
        {"accuracy": 1.0},
        {"lat": lat, "lon": math.inf},
    ]
    rng = random.Random(6)
    for steps in ([0.0], [86_400.0, 0.0], [-3600.0, 0.0, -7200.0]):
        rows, at = [], NOON
        for i in range(400):
            at += 10 + (rng.choice(steps) if i % 50 == 49 else 0.0)
            rows += [Row(at, {"lat": lat, "lon": lon, "accuracy": 10.0}, None), Row(at + 3, rng.choice(wrong), None)]
        assert _run(rows, set()) == []


def test_a_clock_set_back_is_followed() -> None:
    """After the device's clock went back an hour, an exit is still found."""
    way = rest(walk([(0.0, 0.0), (500.0, 0.0)], 1.0), 200)
    seen = list(received(way, Receiver(), random.Random(7)))
    rows = [Row(r.at - (3600 if i > 20 else 0), r.values, r.outside) for i, r in enumerate(rows_of(seen))]
    assert [d.reason for d in _run(rows, set())] == ["left_safe_area"]


def test_fixes_of_a_backlog_are_no_alarm_now() -> None:
    """A phone that hands in yesterday's way tells where somebody was."""
    way = rest(walk([(0.0, 0.0), (500.0, 0.0)], 1.0), 200)
    hosted = Detectors(position_detectors("phone-1", FENCES, HOURS, "outside"))
    for seen in received(way, Receiver(), random.Random(8)):
        for name, value in (("lat", seen.lat), ("lon", seen.lon), ("accuracy", seen.accuracy)):
            assert hosted.on_reading(Reading("phone-1", name, seen.at, value), NOON + 86_400) == []
    assert hosted.counts["geofence/phone-1_old"] > 50


def test_speed_of_the_ways() -> None:
    """The simulation itself: legs are walked at the speed they say."""
    way = walk([(0.0, 0.0), (30.0, 40.0), (30.0, 100.0)], 0.5)
    assert [b[0] - a[0] for a, b in pairwise(way)] == [100.0, 120.0]
