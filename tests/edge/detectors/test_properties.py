"""What holds for every detector that the gateway lists: bad input, the order of sensors, a restart in the middle."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator

import numpy as np
import pytest

from edge.detectors.base import Detection, Stateful
from edge.detectors.facade import Detectors, Listed
from edge.readings import Reading, SignalFrame
from protocols.metrics import METRICS, Type, Value
from protocols.wire import AlarmKind
from tests.support.whole_home import DEVICES, LAT, LON, detectors, second

_NIGHT = 1_795_000_000.0 - 1_795_000_000.0 % 86_400 + 15 * 3600
"""Eleven in the evening in Shenzhen."""
_SURVIVE = ("climate", "contact", "departure", "geofence", "radar", "stove", "wandering")
"""The detectors whose events the scenario below holds."""


def _wrong(rng: random.Random, at: float, *, stamps: bool) -> Reading:
    """A value that no sound sensor says: not finite, of a wrong type, or in another unit.

    Its stamp is as far off as sources let through (edge/sources/timing.py).
    """
    metric = rng.choice(sorted(METRICS))
    wrong: list[Value] = [math.nan, math.inf, -math.inf, 1e300, -1e300]
    kind = METRICS[metric].type
    wrong += [True, "98.6"] if kind is Type.NUMBER else [1.0, "on"] if kind is Type.FLAG else [True]
    at = rng.choice([at, at - 86_000.0, at + 299.0]) if stamps else at
    return Reading(rng.choice(DEVICES).id, metric, at, rng.choice(wrong))


@pytest.mark.parametrize("stamps", [False, True], ids=["wrong values", "wrong stamps, too"])
@pytest.mark.parametrize("seed", range(3))
def test_bad_input_and_clock_steps_never_alarm(seed: int, stamps: bool) -> None:
    """A quiet home in which every third value is wrong, hours are missing and the clock steps."""
    rng, noise = random.Random(seed), np.random.default_rng(seed)
    hosted = detectors()
    now, found = _NIGHT - 11 * 3600, []
    for i in range(300):
        now += rng.choice([1.0] * 40 + [1800.0, -1800.0, 86_400.0, -86_400.0])
        for one in second(now, i, rng, noise):
            found += hosted.on_frame(one) if isinstance(one, SignalFrame) else hosted.on_reading(one, now)
            if rng.random() < 0.3:
                found += hosted.on_reading(_wrong(rng, now, stamps=stamps), now)
        found += hosted.on_tick(now)
    assert hosted.take_failures() == []
    assert [(d.kind, d.reason, d.device) for d in found if not d.cleared] == []


def _scenario() -> Iterator[tuple[float, list[Reading]]]:
    """A bad night: cold, the stove on, out of the door, beyond the fence, smoke, a fall, back."""
    for i in range(0, 9000, 10):
        at = _NIGHT + i
        east = min(max(i - 600, 0), 900) if i < 6000 else max(900 - (i - 6000), 0)
        heard = [
            Reading("phone-1", "lat", at, LAT),
            Reading("phone-1", "lon", at, LON + east / 102_750),
            Reading("phone-1", "accuracy", at, 10.0),
        ]
        if i % 60 == 0:
            heard += [Reading("air-bedroom", "temperature", at, 8.0), Reading("stove-1", "power", at, 900.0)]
        flags = {
            0: ("pir-kitchen", "motion", True),
            580: ("front-door", "contact_open", True),
            590: ("front-door", "contact_open", False),
            2000: ("smoke-kitchen", "smoke", True),
            3000: ("smoke-kitchen", "smoke", False),
            7500: ("front-door", "contact_open", True),
            7600: ("pir-kitchen", "motion", True),
            7700: ("radar-bathroom", "fall_detected", True),
            8000: ("radar-bathroom", "fall_detected", False),
        }
        yield at, heard + ([Reading(flags[i][0], flags[i][1], at, flags[i][2])] if i in flags else [])


def _play(restart_every: int = 0, shuffle: int | None = None) -> list[Detection]:
    """The scenario's detections; those of detectors without a memory are left out."""
    hosted, found = Detectors(_listed()), []
    for n, (at, heard) in enumerate(_scenario()):
        if restart_every and n % restart_every == restart_every - 1:
            state, hosted = json.loads(json.dumps(hosted.state())), Detectors(_listed())
            assert hosted.restore(state) == {}
        if shuffle is not None:
            random.Random(shuffle + n).shuffle(heard)
        for reading in heard:
            found += hosted.on_reading(reading, at)
        for tick in (1, 3, 6, 9):
            found += hosted.on_tick(at + tick)
    assert hosted.take_failures() == []
    return found


def _listed() -> list[Listed]:
    return [one for one in detectors().listed if one.name in _SURVIVE]


def test_the_scenario_holds_every_event() -> None:
    """Otherwise the two tests below would prove nothing."""
    kinds = {(d.kind, d.cleared) for d in _play()}
    for kind in (AlarmKind.COLD, AlarmKind.STOVE, AlarmKind.SMOKE, AlarmKind.GEOFENCE, AlarmKind.FALL):
        assert (kind, False) in kinds
    assert {(AlarmKind.WANDERING, False), (AlarmKind.SMOKE, True), (AlarmKind.GEOFENCE, True)} <= kinds
    assert all(isinstance(one.make(), Stateful) for one in _listed())


@pytest.mark.parametrize("every", [5, 50])
def test_a_restart_in_the_middle_changes_nothing(every: int) -> None:
    """The state through JSON into new detectors, at any moment of any event: the same detections."""
    assert _play(restart_every=every) == _play()


@pytest.mark.parametrize("seed", [1, 2])
def test_order_of_unrelated_sensors_does_not_matter(seed: int) -> None:
    """What the sensors say in one moment may come in any order."""

    def told(found: list[Detection]) -> list[tuple[object, ...]]:
        return sorted((d.at, d.kind, d.device, d.reason, d.cleared) for d in found)

    assert told(_play(shuffle=seed)) == told(_play())
