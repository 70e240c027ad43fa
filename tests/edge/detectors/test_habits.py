"""Notices about habits: meals, the bathroom, nights and decline; none on usual days, none from a step of the clock."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from edge.detectors.base import Detection
from edge.detectors.habits import HabitsDetector
from edge.readings import Device, DeviceRole, Reading
from protocols.wire import Priority

ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 3, 2, tzinfo=ZONE).timestamp()
HOUR, DAY = 3600.0, 86_400.0
DEVICES = (
    Device("pir-living", DeviceRole.MOTION, "living"),
    Device("pir-bath", DeviceRole.MOTION, "bathroom"),
    Device("fridge", DeviceRole.CONTACT, "kitchen"),
    Device("door", DeviceRole.CONTACT, "entrance"),
)


def day(number: int, rng: random.Random, *, activity: float = 1.0, nights: int = 1) -> list[Reading]:
    """Three meals, something every twenty minutes, the bathroom now and then and once at night."""
    begin = START + number * DAY
    found = [(begin + h * HOUR + rng.gauss(0, 900), "fridge") for h in (7.5, 12.5, 18.5)]
    at = begin + 7 * HOUR
    while (at := at + rng.expovariate(activity / 1200)) < begin + 22 * HOUR:
        found += [(at, "pir-living")] if rng.random() < 0.8 else [(at, "pir-bath"), (at + 300, "pir-living")]
    for n in range(nights):
        out = begin + (1 + 3.5 * n / nights) * HOUR + rng.uniform(0, 600)
        found += [(out, "pir-bath"), (out + 240, "pir-living")]
    metrics = {"fridge": "contact_open", "door": "contact_open"}
    on = [Reading(d, metrics.get(d, "motion"), t, True) for t, d in found]
    return sorted([*on, *(Reading(r.device, r.metric, r.at + 20, False) for r in on)], key=lambda r: r.at)


def feed(detector: HabitsDetector, readings: Iterable[Reading], begin: float, end: float) -> list[Detection]:
    """The readings among ticks every five minutes."""
    found: list[Detection] = []
    now = begin
    for reading in readings:
        while now + 300 < reading.at:
            now += 300
            found += detector.on_tick(now)
        now = reading.at
        found += detector.on_reading(reading, now)
    while now + 300 <= end:
        now += 300
        found += detector.on_tick(now)
    return found


@functools.cache
def _lived(days: int) -> tuple[str, tuple[Detection, ...]]:
    rng, detector = random.Random(1), HabitsDetector(DEVICES, ZONE)
    readings = [r for n in range(days) for r in day(n, rng)]
    found = feed(detector, readings, START - 600, START + days * DAY)
    return json.dumps(detector.state(), allow_nan=False), tuple(found)


def lived(days: int = 21) -> HabitsDetector:
    """A detector that has seen so many usual days."""
    detector = HabitsDetector(DEVICES, ZONE)
    detector.restore(json.loads(_lived(days)[0]))
    return detector


def test_usual_weeks_raise_nothing() -> None:
    """Three weeks, then three more."""
    state, found = _lived(42)
    assert found == ()
    assert len(state) < 20_000


def test_two_meals_left_out_are_a_notice() -> None:
    """Up and about, but not in the kitchen until three: told once, low, about the home."""
    begin = START + 21 * DAY
    readings = [r for r in day(21, random.Random(5)) if r.device != "fridge"]
    found = [d for d in feed(lived(), readings, begin, begin + DAY) if d.reason == "meals_missed"]
    assert [(d.priority, d.device, d.at >= begin + 15 * HOUR) for d in found] == [(Priority.LOW, "home", True)]


def test_meals_out_are_not_missed() -> None:
    """Out by the door from eight to nine in the evening."""
    begin = START + 21 * DAY
    out = [Reading("door", "contact_open", begin + h * HOUR + s, s == 0) for h in (8, 21) for s in (0, 5)]
    readings = [r for r in day(21, random.Random(5)) if r.device != "fridge" and r.at < begin + 8 * HOUR]
    found = feed(lived(), [*readings, *out], begin, begin + 23 * HOUR)
    assert [d for d in found if d.reason == "meals_missed"] == []


@pytest.mark.parametrize(("dies", "told"), [(6, []), (48, ["meals_missed"])])
def test_a_dead_kitchen_sensor_misses_no_meal(dies: int, told: list[str]) -> None:
    """The fridge's contact sends its battery every ten minutes and is not opened: a notice only while it is alive."""
    supervised = tuple(Device(d.id, d.role, d.room, interval_s=600.0 if d.id == "fridge" else None) for d in DEVICES)
    detector, begin = HabitsDetector(supervised, ZONE), START + 21 * DAY
    detector.restore(lived().state())
    alive = [Reading("fridge", "battery", begin + n * 600.0, 80.0) for n in range(dies * 6)]
    other = [r for r in day(21, random.Random(5)) if r.device != "fridge"]
    readings = sorted([r for r in alive if r.at < begin + DAY] + other, key=lambda r: r.at)
    assert [d.reason for d in feed(detector, readings, begin, begin + 23 * HOUR)] == told


def test_weeks_with_a_dead_kitchen_sensor_are_no_decline() -> None:
    """Three weeks without a word from the kitchen, its battery empty: nothing is told."""
    rng, detector, begin = random.Random(5), lived(42), START + 42 * DAY
    readings = [r for n in range(21) for r in day(42 + n, rng) if r.device != "fridge"]
    assert feed(detector, [Reading("fridge", "battery", begin, 0.0), *readings], begin, begin + 21 * DAY) == []


@pytest.mark.parametrize(("in_bed", "told"), [(False, ["bathroom_stay_long"]), (True, []), (None, [])])
def test_the_bathroom_is_watched_at_night_while_the_bed_is_empty(in_bed: bool | None, told: list[str]) -> None:
    """At three in the morning: a notice only where a bed sensor says that nobody came back to bed unseen."""
    detector, at = HabitsDetector((*DEVICES, Device("bed", DeviceRole.BED, "bedroom")), ZONE), START + 3 * HOUR
    bed = [] if in_bed is None else [Reading("bed", "bed_occupied", at - 60, in_bed)]
    found = feed(detector, [*bed, Reading("pir-bath", "motion", at, True)], at - HOUR, at + 2 * HOUR)
    assert [d.reason for d in found] == told


def test_a_long_stay_in_the_bathroom_is_a_notice() -> None:
    """Nothing after the bathroom at ten in the morning: told within the hour; with a fixed limit from the first day."""
    for days in (2, 21):
        begin = START + days * DAY
        stop = begin + 10 * HOUR
        readings = [r for r in day(days, random.Random(5)) if r.at < stop - 600]
        last = [Reading("pir-living", "motion", stop - 300, True), Reading("pir-bath", "motion", stop, True)]
        found = feed(lived(days), [*readings, *last], begin, stop + 2 * HOUR)
        assert [d.reason for d in found] == ["bathroom_stay_long"]
        assert 1800 <= found[0].at - stop <= 3900


def test_a_restless_night_is_a_notice() -> None:
    """Nine walks in a night where one is usual."""
    begin = START + 21 * DAY
    found = feed(lived(), day(21, random.Random(5), nights=9), begin, begin + DAY + 600)
    assert [d.reason for d in found] == ["restless_night"]


def test_a_gradual_decline_is_a_notice_within_weeks() -> None:
    """Activity that sinks by three per cent a day is told within three weeks."""
    rng, detector = random.Random(5), lived(42)
    readings = [r for n in range(21) for r in day(42 + n, rng, activity=0.97**n)]
    found = feed(detector, readings, START + 42 * DAY, START + 63 * DAY)
    assert found[0].reason == "less_active_lately"


def test_a_restart_in_the_middle_of_a_day_changes_nothing() -> None:
    """The state, through JSON, gives the same notices."""
    begin = START + 21 * DAY
    readings = [r for r in day(21, random.Random(5)) if r.device != "fridge"]
    first, rest = [r for r in readings if r.at < begin + 13 * HOUR], [r for r in readings if r.at >= begin + 13 * HOUR]
    plain, again = lived(), HabitsDetector(DEVICES, ZONE)
    feed(plain, first, begin, begin + 13 * HOUR)
    again.restore(json.loads(json.dumps(plain.state(), allow_nan=False)))
    results = [feed(d, rest, begin + 13 * HOUR, begin + DAY + 600) for d in (plain, again)]
    assert results[0] == results[1] != []


def test_restarts_at_every_event_change_nothing() -> None:
    """No kitchen, and the bathroom for hours: made afresh from its state, through JSON, after every
    event and every tick in between, the detector tells the same.
    """
    begin = START + 21 * DAY
    eventful = [r for r in day(21, random.Random(5)) if r.device != "fridge" and r.at < begin + 15.5 * HOUR]
    last = [Reading("pir-bath", "motion", begin + 16 * HOUR, True)]
    plain = feed(lived(), [*eventful, *last], begin, begin + 18 * HOUR)
    found: list[Detection] = []
    restarted, now = lived(), begin
    for reading in [*eventful, *last, Reading("stranger", "motion", begin + 18 * HOUR, True)]:
        while now + 300 < reading.at:
            now += 300
            found += restarted.on_tick(now)
            restarted = afresh(restarted)
        now = reading.at
        found += restarted.on_reading(reading, now)
        restarted = afresh(restarted)
    assert {d.reason for d in plain} == {"meals_missed", "bathroom_stay_long"}
    assert found == plain


def afresh(detector: HabitsDetector) -> HabitsDetector:
    """Another detector with its state as it was on flash."""
    again = HabitsDetector(DEVICES, ZONE)
    again.restore(json.loads(json.dumps(detector.state(), allow_nan=False)))
    return again


@pytest.mark.parametrize("step", [-40 * DAY, -3 * HOUR, 3 * HOUR, 30 * HOUR, 400 * DAY])
def test_a_clock_step_is_no_notice(step: float) -> None:
    """The clock jumps in the bathroom before lunch: nothing is told in the rest of that day."""
    detector, at = lived(), START + 21 * DAY + 10 * HOUR
    feed(detector, day(20, random.Random(5))[:0], at - 10 * HOUR, at)
    detector.on_reading(Reading("pir-bath", "motion", at, True), at)
    assert [d for n in range(48) for d in detector.on_tick(at + step + n * 300)] == []


@pytest.mark.parametrize("broken", [{}, {"v": 2}, {"v": 1}, {"v": 1, "today": {}}])
def test_a_state_that_is_none_changes_nothing(broken: dict[str, object]) -> None:
    """ValueError, and the detector is as before."""
    detector = lived()
    before = detector.state()
    with pytest.raises(ValueError, match="habits"):
        detector.restore(broken)
    assert detector.state() == before
