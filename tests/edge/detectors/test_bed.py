"""The bed's own rules: long exits at night, a late evening, a restless night; and what is none of them."""

from __future__ import annotations

import json
import random
from zoneinfo import ZoneInfo

import pytest

from edge.detectors.base import Detection
from edge.detectors.bed import BedDetector
from edge.readings import Reading
from protocols.wire import Priority

ZONE = ZoneInfo("Asia/Shanghai")
NOON = 1_772_424_000.0  # in Shanghai
HOUR, DAY = 3600.0, 86_400.0

Changes = list[tuple[float, bool]]


def night(number: int, rng: random.Random, exits: int = 1) -> Changes:
    """In bed at about ten, out for five minutes now and then, up at about seven."""
    begin = NOON + number * DAY
    changes = [(begin + 10 * HOUR + rng.gauss(0, 900), True), (begin + 19 * HOUR + rng.gauss(0, 900), False)]
    for n in range(exits):
        out = begin + 12 * HOUR + (n + 1) * 5 * HOUR / exits + rng.uniform(0, 600)
        changes += [(out, False), (out + 300, True)]
    return sorted(changes)


def feed(detector: BedDetector, changes: Changes, begin: float, end: float) -> list[Detection]:
    """The changes among ticks every five minutes."""
    found: list[Detection] = []
    moments = sorted(
        [*((begin + n * 300.0, None) for n in range(int((end - begin) / 300))), *changes], key=lambda c: c[0]
    )
    for at, occupied in moments:
        if occupied is None:
            found += detector.on_tick(at)
        else:
            found += detector.on_reading(Reading("bed", "bed_occupied", at, occupied), at)
    return found


def lived(nights: int = 14) -> tuple[BedDetector, list[Detection]]:
    """A detector that has seen so many nights, until noon, and what it raised."""
    rng, detector = random.Random(1), BedDetector("bed", ZONE)
    found = feed(detector, [c for n in range(nights) for c in night(n, rng)], NOON, NOON + nights * DAY)
    return detector, found


def test_usual_nights_raise_nothing() -> None:
    """Four weeks of going to bed, to the bathroom, and getting up."""
    assert lived(28)[1] == []


@pytest.mark.parametrize("nights", [0, 14])
def test_who_does_not_come_back_to_bed_is_told(nights: int) -> None:
    """Out at two: an alarm within the hour, before anything is learned as well; it ends with the return."""
    detector, _ = lived(nights)
    noon = NOON + nights * DAY
    changes = [(noon - 600, False), (noon + 10 * HOUR, True), (noon + 14 * HOUR, False), (noon + 16 * HOUR, True)]
    found = feed(detector, changes, noon - 900 if nights == 0 else noon, noon + 17 * HOUR)
    assert [(d.reason, d.priority, d.cleared) for d in found] == [
        ("out_of_bed_long", Priority.MEDIUM, False),
        ("condition_ended", Priority.MEDIUM, True),
    ]
    assert found[0].at - noon - 14 * HOUR <= HOUR + 300


def test_getting_up_is_no_long_exit() -> None:
    """Up at the usual time, and nobody in bed by day."""
    detector, _ = lived()
    assert feed(detector, night(14, random.Random(7)), NOON + 14 * DAY, NOON + 15 * DAY) == []


def test_a_late_evening_is_a_notice() -> None:
    """Not in bed three hours after the usual time: told once, with low priority."""
    detector, _ = lived()
    found = feed(detector, [], NOON + 14 * DAY, NOON + 14 * DAY + 15 * HOUR)
    assert [(d.reason, d.priority) for d in found] == [("not_in_bed", Priority.LOW)]


def test_a_restless_night_is_told_at_noon() -> None:
    """Eight exits where one is usual."""
    detector, _ = lived()
    found = feed(detector, night(14, random.Random(7), 8), NOON + 14 * DAY, NOON + 15 * DAY + 600)
    assert [d.reason for d in found] == ["restless_night"]
    assert found[0].evidence[0].numbers["exits"] == 8


def test_a_restart_in_the_middle_of_an_exit_changes_nothing() -> None:
    """The state, through JSON, alarms at the same moment."""
    detector, _ = lived()
    noon = NOON + 14 * DAY
    assert feed(detector, [(noon + 10 * HOUR, True), (noon + 14 * HOUR, False)], noon, noon + 14.2 * HOUR) == []
    again = BedDetector("bed", ZONE)
    again.restore(json.loads(json.dumps(detector.state(), allow_nan=False)))
    ticks = [noon + 14.2 * HOUR + n * 300 for n in range(24)]
    assert [d for t in ticks for d in again.on_tick(t)] == [d for t in ticks for d in detector.on_tick(t)] != []


@pytest.mark.parametrize("step", [-40 * DAY, -3 * HOUR, 3 * HOUR, 400 * DAY])
def test_a_clock_step_is_no_exit(step: float) -> None:
    """The clock jumps while the bed is empty for a minute: nothing is raised in the next twenty."""
    detector, _ = lived()
    noon = NOON + 14 * DAY
    feed(detector, [(noon + 10 * HOUR, True), (noon + 14 * HOUR, False)], noon, noon + 14 * HOUR + 60)
    assert [d for n in range(4) for d in detector.on_tick(noon + 14 * HOUR + 60 + step + n * 300)] == []


@pytest.mark.parametrize("broken", [{}, {"v": 9}, {"v": 2}, {"v": 1, "nights": [[1, "x", 2, 3]]}])
def test_a_state_that_is_none_changes_nothing(broken: dict[str, object]) -> None:
    """ValueError, and the detector is as before."""
    detector, _ = lived(3)
    before = detector.state()
    with pytest.raises(ValueError, match="bed"):
        detector.restore(broken)
    assert detector.state() == before


def test_the_limit_is_that_of_the_part_of_the_night() -> None:
    """Who is up for an hour towards every morning is not told of then; an exit as long after midnight is."""
    rng, detector = random.Random(1), BedDetector("bed", ZONE)

    def early_riser(number: int) -> Changes:
        begin = NOON + number * DAY
        up = begin + 17 * HOUR + rng.uniform(0, 600)
        return [
            (begin + 10 * HOUR, True), (begin + 13 * HOUR, False), (begin + 13 * HOUR + 300, True),
            (up, False), (up + 3900, True), (begin + 19 * HOUR, False),
        ]  # fmt: skip

    found = feed(detector, [c for n in range(20) for c in early_riser(n)], NOON, NOON + 20 * DAY)
    assert [d for d in found if d.at > NOON + 9 * DAY] == []
    begin = NOON + 20 * DAY
    found = feed(detector, [(begin + 10 * HOUR, True), (begin + 13 * HOUR, False)], begin, begin + 14 * HOUR)
    assert [d.reason for d in found] == ["out_of_bed_long"]
    assert found[0].evidence[0].numbers["limit_min"] == 30


def test_a_state_of_the_first_version_is_taken_up() -> None:
    """Exits whose part of the night was not kept count for all of it."""
    detector, _ = lived()
    old = json.loads(json.dumps(detector.state())) | {"v": 1}
    old["exits"] = [length for _, length in old["exits"]]
    again = BedDetector("bed", ZONE)
    again.restore(old)
    assert [length for _, length in again.state()["exits"]] == old["exits"]
