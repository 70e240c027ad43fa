"""The host of detectors: one detector's failure or memory is nobody else's business."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import pytest

from edge.detectors.base import Detection
from edge.detectors.facade import FRESH_AFTER, Detectors, Listed, build
from edge.readings import Device, DeviceRole, Reading
from protocols.wire import AlarmKind, Priority


class Counting:
    """Counts readings, remembers the count, and breaks on the value 13."""

    def __init__(self) -> None:
        self.seen = 0

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """A detection at every third reading."""
        if reading.value == 13.0:
            raise ZeroDivisionError("thirteen")
        self.seen += 1
        if self.seen % 3:
            return []
        return [Detection(AlarmKind.VITALS, Priority.LOW, reading.at, reading.device, f"seen_{self.seen}", 1.0)]

    def state(self) -> dict[str, Any]:
        """The count."""
        return {"v": 1, "seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        """Version 1 only."""
        if state.get("v") != 1:
            raise ValueError("not version 1")
        self.seen = int(state["seen"])


def _two() -> Detectors:
    return Detectors([Listed("first", Counting, "a"), Listed("second", Counting, "b")])


def _reading(device: str, value: float = 1.0, at: float = 0.0) -> Reading:
    return Reading(device, "heart_rate", at, value)


def test_failure_is_isolated_and_reported() -> None:
    """A detector that raises is reported with its device, and the one beside it finds what it would have found."""
    hosted = Detectors([Listed("broken", Counting, "a"), Listed("whole", Counting, "c")])
    assert hosted.on_reading(_reading("a", 13.0), 0.0) == []
    assert hosted.on_reading(_reading("a", 13.0), 1.0) == []
    found = [d for t in range(3) for d in hosted.on_reading(_reading("c"), float(t))]
    assert [d.reason for d in found] == ["seen_3"]
    assert hosted.counts["broken/a_failed"] == 2
    assert [(f.key, f.device, f.what) for f in hosted.take_failures()] == [("broken/a", "a", "detect")] * 2
    assert hosted.take_failures() == []


def test_broken_memory_is_made_afresh() -> None:
    """After several failures in a row the detector begins with an empty memory."""
    hosted = _two()
    hosted.on_reading(_reading("a"), 0.0)
    for t in range(FRESH_AFTER):
        hosted.on_reading(_reading("a", 13.0), float(t))
    assert hosted.state()["detectors"]["first/a"]["seen"] == 0
    assert hosted.counts["first/a_made_afresh"] == 1


def test_state_survives_a_restart_in_the_middle() -> None:
    """Two readings before a restart and one after it give the detection of three."""
    before, after = _two(), _two()
    for _ in range(2):
        assert before.on_reading(_reading("a"), 0.0) == []
    assert after.restore(before.state()) == {}
    assert [d.reason for d in after.on_reading(_reading("a"), 1.0)] == ["seen_3"]


def test_newer_state_of_one_is_refused_alone() -> None:
    """A state of newer software costs its own detector the memory, and no other one."""
    hosted = _two()
    newer = {"v": 2, "seen": 7}
    refused = hosted.restore({"v": 1, "detectors": {"first/a": newer, "second/b": {"v": 1, "seen": 2}, "gone": {}}})
    assert refused == {"first/a": newer, "gone": {}}
    assert hosted.state()["detectors"] == {"first/a": {"v": 1, "seen": 0}, "second/b": {"v": 1, "seen": 2}}
    assert (hosted.counts["state_refused"], hosted.counts["state_of_no_detector"]) == (1, 1)


@pytest.mark.parametrize("whole", [{}, {"v": 2, "detectors": {}}, {"v": 1, "detectors": []}])
def test_no_state_at_all_is_an_error(whole: dict[str, Any]) -> None:
    """What is no aggregate of this version raises and changes nothing."""
    hosted = _two()
    with pytest.raises(ValueError, match="version"):
        hosted.restore(whole)
    assert hosted.state()["detectors"]["first/a"]["seen"] == 0


def test_a_name_is_listed_once() -> None:
    """Two detectors under one key would overwrite each other's memory."""
    with pytest.raises(ValueError, match="twice"):
        Detectors([Listed("x", Counting), Listed("x", Counting)])


@pytest.mark.parametrize("seed", range(5))
def test_order_of_unrelated_sensors_does_not_matter(seed: int) -> None:
    """Each sensor's detections are the same however the sensors' readings are interleaved."""
    devices = [Device(f"d{i}", DeviceRole.SMOKE) for i in range(4)]
    rng = random.Random(seed)
    streams = {
        d.id: [
            Reading(d.id, rng.choice(["smoke", "gas", "co", "flood"]), float(i), rng.random() < 0.5) for i in range(50)
        ]
        for d in devices
    }

    def run(order: list[str]) -> dict[str, list[tuple[str, float, bool]]]:
        hosted, waiting = build(devices), {name: iter(stream) for name, stream in streams.items()}
        found: dict[str, list[tuple[str, float, bool]]] = defaultdict(list)
        for name in order:
            reading = next(waiting[name])
            for d in hosted.on_reading(reading, reading.at):
                found[d.device].append((d.kind, d.at, d.cleared))
        return found

    order = [name for name in streams for _ in range(50)]
    shuffled = list(order)
    rng.shuffle(shuffled)
    assert run(order) == run(shuffled)
