"""The simulator against the gateway's own detector, and against itself."""

from __future__ import annotations

import numpy as np
import pytest

from edge.detectors.fall import FallDetector
from edge.readings import BodyPosition, SignalFrame
from firmware_sim.devices import DEVICES, Sensors
from firmware_sim.person import ROOMS, Person, day_plan
from firmware_sim.signals import Activity, Body, Vitals
from protocols.senml import decode_pack, resolve
from protocols.telemetry import TimeBounds, read_records
from protocols.topics import parse_home_up


def _detected(seed: int, *, fall: bool) -> list[float]:
    body = Body(np.random.default_rng(seed))
    detector = FallDetector("w", BodyPosition.WRIST)
    found: list[float] = []
    impact = 0.0
    for i in range(160):
        activity = (Activity.SITTING, Activity.WALKING, Activity.STANDING, Activity.LYING)[(i // 30) % 4]
        if fall and i == 100:
            impact = i * 0.5 + body.fall()
        samples = body.samples(25, activity).astype(np.float32)
        frame = SignalFrame("w", i, 1e9 + i * 0.5, 50.0, ("ax", "ay", "az"), samples, 16.0)
        found += [d.at - 1e9 - impact for d in detector.on_frame(frame)]
    return found


@pytest.mark.parametrize("seed", range(10))
def test_falls_are_falls(seed: int) -> None:
    """A simulated fall is detected at its impact; the life around it is not."""
    assert _detected(seed, fall=True) == pytest.approx([0.0], abs=0.05)
    assert _detected(seed, fall=False) == []


def test_the_same_seed_plays_the_same() -> None:
    """Signals, signs and plans."""
    for a, b in ((np.random.default_rng(3), np.random.default_rng(3)),):
        assert np.array_equal(Body(a).samples(200, Activity.WALKING), Body(b).samples(200, Activity.WALKING))
        assert day_plan(a) == day_plan(b)


def test_sensors_agree_with_the_person() -> None:
    """Over a simulated day every message is valid, motion is where the person is, and the bed knows its sleeper."""
    rng = np.random.default_rng(1)
    person = Person(rng)
    sensors = Sensors(person, Vitals(rng), rng, 22.5, 114.0)
    devices = {spec.id for spec in DEVICES}
    seen: set[str] = set()
    in_bed = False
    for second in range(0, 86_400, 5):
        stay = person.at(second)
        now = 1_795_000_000.0 + second
        for topic, payload in sensors.tick(now, stay):
            device = parse_home_up(topic).device
            assert device in devices
            readings, errors = read_records(decode_pack(payload), now, TimeBounds())
            assert errors == []
            assert resolve(decode_pack(payload), now)
            for reading in readings:
                seen.add(reading.metric)
                if reading.metric == "motion" and reading.value is True:
                    assert reading.device == f"pir-{stay.room.replace('_', '-')}"
                if reading.metric == "bed_occupied":
                    in_bed = bool(reading.value)
        assert in_bed == (stay.room == "bedroom" and stay.activity is Activity.LYING)
    assert {"heart_rate", "spo2", "systolic", "motion", "bed_occupied", "contact_open", "temperature", "lat"} <= seen


def test_rooms() -> None:
    """A person can be sent to the home's rooms only."""
    person = Person(np.random.default_rng(1))
    person.go(ROOMS[1], Activity.WALKING)
    assert person.at(0).room == ROOMS[1]
    with pytest.raises(ValueError, match="there is no room 'attic'"):
        person.go("attic", Activity.WALKING)
