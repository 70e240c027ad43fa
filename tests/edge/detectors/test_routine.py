"""Inactivity: alarms when a home is quiet beyond its own rhythm, and only then."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.detectors.base import Detection
from edge.detectors.routine import RoutineDetector, RoutineProfile
from edge.readings import Device, DeviceRole, Reading
from protocols.metrics import Value
from protocols.wire import AlarmKind

ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 3, 2, tzinfo=ZONE).timestamp()
HOUR, DAY = 3600.0, 86_400.0
HOME = (
    Device("pir-1", DeviceRole.MOTION, "living"),
    Device("pir-2", DeviceRole.MOTION, "bathroom"),
    Device("fridge", DeviceRole.CONTACT, "kitchen"),
    Device("door", DeviceRole.CONTACT, "entrance"),
    Device("bed-1", DeviceRole.BED, "bedroom"),
)


def profile(residents: int = 1, *, pets: bool = False) -> RoutineProfile:
    """Someone in Shanghai, one false alarm a month."""
    return RoutineProfile(ZONE, residents, pets)


def day(number: int, rng: random.Random) -> list[Reading]:
    """Up at about seven, something every half hour or so, out from two to four, in bed at about ten."""
    begin = START + number * DAY
    up, down = begin + rng.gauss(7, 0.3) * HOUR, begin + rng.gauss(22, 0.3) * HOUR
    found = [Reading("bed-1", "bed_occupied", up, False), Reading("bed-1", "bed_occupied", down, True)]
    at = up + 60
    while (at := at + rng.expovariate(1 / 1500)) < down - 60:
        if not begin + 13.9 * HOUR < at < begin + 16.1 * HOUR:
            found.append(Reading(rng.choice(("pir-1", "pir-2")), "motion", at, True))
    found += [Reading("door", "contact_open", begin + h * HOUR + s, s == 0) for h in (14, 16) for s in (0, 5)]
    return sorted(found, key=lambda r: r.at)


def feed(detector: RoutineDetector, readings: Iterable[Reading], until: float | None = None) -> list[Detection]:
    """Give the readings in order with a tick every five minutes, then ticks `until`."""
    found: list[Detection] = []
    now: float | None = None
    for reading in readings:
        while now is not None and now + 300 < reading.at:
            now += 300
            found += detector.on_tick(now)
        now = reading.at
        found += detector.on_reading(reading, now)
    while until is not None and now is not None and now < until:
        now += 300
        found += detector.on_tick(now)
    return found


def lived(days: int = 14, seed: int = 1, who: RoutineProfile | None = None) -> tuple[RoutineDetector, list[Detection]]:
    """A detector that has seen so many days, and what it raised."""
    found, state = _lived(days, seed, who or profile())
    detector = RoutineDetector(HOME, who or profile())
    detector.restore(json.loads(state))
    return detector, found


@functools.cache
def _lived(days: int, seed: int, who: RoutineProfile) -> tuple[list[Detection], str]:
    rng = random.Random(seed)
    detector = RoutineDetector(HOME, who)
    found = feed(detector, [r for n in range(days) for r in day(n, rng)])
    return found, json.dumps(detector.state())


def test_an_ordinary_fortnight_raises_nothing() -> None:
    """Sleep, an outing every day and quiet half hours are no alarm."""
    assert lived()[1] == []


def test_a_stop_by_day_is_noticed_within_hours() -> None:
    """Nothing after ten in the morning is an alarm in the early afternoon, with the figures that made it one."""
    detector, _ = lived()
    stop = START + 14 * DAY + 10 * HOUR
    found = feed(detector, [r for r in day(14, random.Random(5)) if r.at < stop], stop + 12 * HOUR)
    assert [d.kind for d in found] == [AlarmKind.INACTIVITY]
    assert found[0].at - stop < 4 * HOUR
    assert found[0].evidence[0].numbers["quiet_h"] > found[0].evidence[0].numbers["usual_h"]
    assert found[0].evidence[0].numbers["chance_per_day"] < 1 / 30


def test_who_does_not_get_up_is_noticed_in_the_morning() -> None:
    """A bed that stays occupied is an alarm, some hours after the usual time of getting up."""
    detector, _ = lived()
    found = feed(detector, day(14, random.Random(5)), START + 16 * DAY)
    assert found[0].reason == "not_up_yet"
    assert 7.5 * HOUR < (found[0].at - START) % DAY < 12 * HOUR


def test_leaving_home_is_not_inactivity() -> None:
    """A door, then two days of silence."""
    detector, _ = lived()
    at = START + 14 * DAY + 9 * HOUR
    out = [Reading("pir-1", "motion", at, True), Reading("door", "contact_open", at + 60, True)]
    assert feed(detector, [*out, Reading("door", "contact_open", at + 65, False)], at + 2 * DAY) == []


def test_with_two_residents_a_door_empties_nothing() -> None:
    """One went out; that the other is quiet far longer than outings last is an alarm."""
    detector, _ = lived(who=profile(2))
    at = START + 14 * DAY + 9 * HOUR
    assert feed(detector, [Reading("door", "contact_open", at, True)], at + 2 * DAY) != []


def test_a_pet_that_moves_hides_nobody() -> None:
    """With pets, motion goes on while the resident's own sensors are silent: an alarm."""
    detector, _ = lived(who=profile(pets=True))
    at = START + 14 * DAY + 9 * HOUR
    moves = [Reading("pir-1", "motion", at + n * 1200, True) for n in range(72)]
    assert feed(detector, [Reading("fridge", "contact_open", at, True), *moves]) != []


def test_the_first_days_have_a_fixed_limit() -> None:
    """Without a model eleven hours are no alarm and thirteen are."""
    detector, found = lived(1)
    last = START + 22.9 * HOUR
    assert found == []
    assert feed(detector, [Reading("pir-1", "motion", last, True)], last + 11 * HOUR) == []
    assert [d.reason for d in feed(detector, [Reading("x", "motion", last + 11 * HOUR, True)], last + 13 * HOUR)] == [
        "quiet_beyond_fixed_limit"
    ]


def test_dead_sensors_are_not_inactivity() -> None:
    """When the sensors that should report every ten minutes do not, silence says nothing; it is counted."""
    supervised = tuple(Device(d.id, d.role, d.room, d.position, 600.0) for d in HOME)
    detector = RoutineDetector(supervised, profile())
    stop = START + 14 * DAY + 10 * HOUR
    rng = random.Random(1)
    alive = [Reading(d.id, "battery", START + n * 600.0, 80.0) for n in range(14 * 144 + 60) for d in HOME]
    readings = sorted([*(r for n in range(15) for r in day(n, rng) if r.at < stop), *alive], key=lambda r: r.at)
    assert feed(detector, readings, stop + DAY) == []
    assert detector.counts["deaf"] > 0


def test_an_alarm_ends_with_the_next_sign_of_life() -> None:
    """The condition clears once, for the device it was raised for."""
    detector, _ = lived()
    at = START + 14 * DAY + 10 * HOUR
    raised = feed(detector, [Reading("fridge", "contact_open", at, True)], at + DAY)
    cleared = detector.on_reading(Reading("pir-1", "motion", at + DAY, True), at + DAY)
    assert len(raised) == 1
    assert [(d.cleared, d.device) for d in cleared] == [(True, raised[0].device)]


def test_a_restart_in_the_middle_of_a_silence_changes_nothing() -> None:
    """The state, through JSON, gives the same alarm at the same moment; it is small."""
    detector, _ = lived(40)
    at = START + 40 * DAY + 10 * HOUR
    feed(detector, [Reading("fridge", "contact_open", at, True)], at + HOUR)
    text = json.dumps(detector.state(), allow_nan=False)
    again = RoutineDetector(HOME, profile())
    again.restore(json.loads(text))
    ticks = [at + HOUR + n * 300 for n in range(1, 150)]
    assert [f for t in ticks for f in again.on_tick(t)] == [f for t in ticks for f in detector.on_tick(t)] != []
    assert len(text) < 60_000


def test_restarts_before_and_after_the_alarm_change_nothing() -> None:
    """Made afresh from its state every hour of a silence, and once more after the alarm: raised once, cleared once, at
    the same moments as without.
    """
    at = START + 14 * DAY + 10 * HOUR
    last, back = Reading("fridge", "contact_open", at, True), Reading("pir-1", "motion", at + 9 * HOUR, True)
    plain, restarted = lived()[0], lived()[0]
    expected = feed(plain, [last], at + 9 * HOUR) + plain.on_reading(back, back.at)
    found = restarted.on_reading(last, at)
    for n in range(1, 109):
        found += restarted.on_tick(at + n * 300)
        if n % 12 == 0:
            state = json.dumps(restarted.state(), allow_nan=False)
            restarted = RoutineDetector(HOME, profile())
            restarted.restore(json.loads(state))
    found += restarted.on_reading(back, back.at)
    assert [d.cleared for d in expected] == [False, True]
    assert found == expected


def test_a_night_that_begins_in_another_room_is_an_ordinary_night() -> None:
    """Two weeks of evenings in the bathroom alone; then one on which the fridge is the last that is heard, which it
    never was so late: no alarm before the usual time of getting up, and one after it.
    """
    home = tuple(d for d in HOME if d.role is not DeviceRole.BED)
    rng, detector = random.Random(1), RoutineDetector(home, profile())
    days = [r for n in range(14) for r in day(n, rng) if r.device == "pir-2" or (r.at - START) % DAY < 20 * HOUR]
    washed = [Reading("pir-2", "motion", START + n * DAY + 22.4 * HOUR, True) for n in range(13)]
    feed(detector, sorted([r for r in [*days, *washed] if r.device != "bed-1"], key=lambda r: r.at))
    late, morning = START + 13 * DAY + 22.6 * HOUR, START + 14 * DAY + 7.5 * HOUR
    assert feed(detector, [Reading("fridge", "contact_open", late, True)], morning) == []
    assert feed(detector, [Reading("x", "motion", morning, True)], morning + 12 * HOUR) != []


def test_a_home_that_lives_by_the_clock_is_watched_more_closely_the_longer_it_is_known() -> None:
    """The excess that alarms comes from other homes at first and from the own days later."""
    limits = []
    for known in (7, 14, 40):
        detector, _ = lived(known)
        at = START + known * DAY + 10 * HOUR
        found = feed(detector, [Reading("fridge", "contact_open", at, True)], at + DAY)
        limits.append(found[0].evidence[0].numbers["limit"])
    assert limits[0] > limits[1] > limits[2] > 1


def test_who_was_last_seen_in_the_kitchen_late_is_not_up_either() -> None:
    """Without a sensor of the bed: the fridge at eleven in the evening, then nothing until the morning."""
    home = tuple(d for d in HOME if d.role is not DeviceRole.BED)
    rng, detector = random.Random(1), RoutineDetector(tuple(home), profile())
    feed(detector, [r for n in range(14) for r in day(n, rng) if r.device != "bed-1"])
    late = START + 13 * DAY + 23 * HOUR
    found = feed(detector, [Reading("fridge", "contact_open", late, True)], late + 14 * HOUR)
    assert [d.reason for d in found] == ["not_up_yet"]


@pytest.mark.parametrize(
    "broken", [{}, {"v": 99}, {"v": 1}, {"v": 1, "presence": 3}, {"v": 1, "presence": {"last_at": float("nan")}}]
)
def test_a_state_that_is_none_changes_nothing(broken: dict[str, object]) -> None:
    """ValueError, and the detector is as before."""
    detector, _ = lived(6)
    before = detector.state()
    with pytest.raises(ValueError, match="routine"):
        detector.restore(broken)
    assert detector.state() == before


@pytest.mark.parametrize("step", [-40 * DAY, -3 * HOUR, 2 * HOUR, 30 * HOUR, 400 * DAY])
def test_a_clock_step_is_no_silence(step: float) -> None:
    """The clock jumps either way: no alarm from the jump, and none for an hour after it."""
    detector, _ = lived()
    at = START + 14 * DAY + 10 * HOUR
    feed(detector, [Reading("pir-1", "motion", at, True)], at + 1200)
    assert [d for n in range(12) for d in detector.on_tick(at + 1200 + step + n * 300)] == []


def test_values_of_the_wrong_sort_show_no_life() -> None:
    """Numbers, NaN, texts and strangers neither crash nor end a silence."""
    detector, _ = lived()
    at = START + 14 * DAY + 10 * HOUR
    detector.on_reading(Reading("fridge", "contact_open", at, True), at)
    odd: list[tuple[str, str, Value]] = [
        ("pir-1", "motion", float("nan")),
        ("pir-1", "battery", float("nan")),
        ("pir-1", "motion", "yes"),
    ]
    odd += [("stranger", "motion", True), ("fridge", "contact_open", True)]
    for n, (device, metric, value) in enumerate(odd):
        detector.on_reading(Reading(device, metric, at + 60.0 * n, value), at + 60.0 * n)
    assert detector.state()["presence"]["last_at"] == at


@settings(max_examples=25)
@given(st.randoms(use_true_random=False), st.integers(0, 3))
def test_the_order_of_sensors_at_one_moment_does_not_matter(order: random.Random, seed: int) -> None:
    """Readings with the same time, given in any order, lead to the same memory and the same alarms."""
    rng = random.Random(seed)
    moments = [START + 7 * HOUR + n * 1800.0 for n in range(30)]
    batches = [[Reading(d.id, m, t, True) for d, m in _some(rng)] for t in moments]
    plain, shuffled = (RoutineDetector(HOME, profile()) for _ in range(2))
    for batch in batches:
        mixed = list(batch)
        order.shuffle(mixed)
        assert feed(plain, batch, batch[0].at + 900) == feed(shuffled, mixed, batch[0].at + 900)
    assert plain.state() == shuffled.state()


def _some(rng: random.Random) -> list[tuple[Device, str]]:
    metrics = {DeviceRole.MOTION: "motion", DeviceRole.CONTACT: "contact_open", DeviceRole.BED: "bed_occupied"}
    return [(d, metrics[d.role]) for d in rng.sample(HOME, rng.randint(2, 4))]


def test_a_door_without_a_telling_name_is_learned() -> None:
    """What most long silences of the day begin and end with becomes the door; then leaving is no alarm."""
    home = tuple(Device("c7" if d.id == "door" else d.id, d.role, None if d.id == "door" else d.room) for d in HOME)
    rng = random.Random(1)
    detector = RoutineDetector(home, profile())
    plain = [r for n in range(20) for r in day(n, rng)]
    named = [Reading("c7" if r.device == "door" else r.device, r.metric, r.at, r.value) for r in plain]
    feed(detector, named)
    at = START + 20 * DAY + 9 * HOUR
    assert feed(detector, [Reading("c7", "contact_open", at, True)], at + 2 * DAY) == []
