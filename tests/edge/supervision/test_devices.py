"""What is wrong with a device: found, held and over at the right moment, measured on a manual clock."""

from __future__ import annotations

import json

import pytest

from edge.readings import Device, DeviceRole, Reading
from edge.supervision.devices import DeviceSupervision
from edge.supervision.limits import LEARN_GAPS, LEARNED_LEAST_S
from protocols.faults import Fault
from protocols.metrics import Value

BATTERY, PIR = Device("oxi", DeviceRole.OXIMETER, interval_s=30.0), Device("pir", DeviceRole.MOTION)


def _supervision(declared: dict[str, float] | None = None) -> DeviceSupervision:
    return DeviceSupervision((BATTERY, PIR), lambda: declared or {}, 0.0)


def _faults(found: set[tuple[Fault, str]]) -> set[Fault]:
    return {fault for fault, _ in found}


def test_silence_of_a_configured_interval() -> None:
    """Three intervals without a sign of life, also right from the start; one message ends it."""
    watch = _supervision()
    assert watch.faults(89.0) == set()
    assert watch.faults(91.0) == {(Fault.SENSOR_SILENT, "oxi")}
    watch.heard("oxi", 100.0)
    assert watch.faults(101.0) == set()


def test_silence_of_a_declared_interval() -> None:
    """The dialect's interval counts where the configuration says none."""
    watch = _supervision({"pir": 300.0})
    watch.heard("oxi", 905.0)
    assert watch.faults(899.0) == set()
    assert watch.faults(901.0) == {(Fault.SENSOR_SILENT, "pir")}


def test_silence_of_a_learned_rhythm() -> None:
    """A motion sensor's silence means nothing until its own rhythm is known, and then three of its longest gaps."""
    watch = _supervision()
    for i in range(LEARN_GAPS):
        watch.heard("pir", i * 7_200.0)
    last = (LEARN_GAPS - 1) * 7_200.0
    watch.heard("oxi", last + 90_000.0)
    assert (Fault.SENSOR_SILENT, "pir") not in watch.faults(last + 90_000.0)
    watch.heard("pir", last + 7_200.0)
    assert LEARNED_LEAST_S < 3 * 7_200.0
    assert (Fault.SENSOR_SILENT, "pir") not in watch.faults(last + 7_200.0 + 21_599.0)
    assert (Fault.SENSOR_SILENT, "pir") in watch.faults(last + 7_200.0 + 21_601.0)


def test_a_learned_rhythm_survives_a_restart() -> None:
    """A second run knows the gaps of the first; devices that are gone, and what is no state, change nothing."""
    watch, again = _supervision(), _supervision()
    for i in range(LEARN_GAPS + 1):
        watch.heard("pir", i * 7_200.0)
    state = json.loads(json.dumps(watch.state()))
    again.restore_rhythm(state | {"gaps": state["gaps"] | {"gone": [1.0]}})
    assert again.state() == watch.state()
    again.heard("pir", 100.0)
    assert (Fault.SENSOR_SILENT, "pir") not in again.faults(100.0 + 21_599.0)
    assert (Fault.SENSOR_SILENT, "pir") in again.faults(100.0 + 21_601.0)
    for broken in ({}, {"v": 1, "gaps": {"pir": [0]}}, {"v": 1, "gaps": {"pir": ["1"]}}, {"v": 2, "gaps": {}}):
        with pytest.raises(ValueError, match="supervision"):
            again.restore_rhythm(broken)
    assert again.state() == watch.state()


def test_a_will_counts_at_once_but_does_not_bring_back() -> None:
    """`offline` is believed at once; a retained `online` of a dead device never makes it look alive."""
    watch = _supervision()
    watch.online("pir", False)
    assert watch.faults(1.0) == {(Fault.SENSOR_SILENT, "pir")}
    watch.online("pir", True)
    assert watch.faults(2.0) == {(Fault.SENSOR_SILENT, "pir")}
    watch.heard("pir", 3.0)
    assert watch.faults(4.0) == set()


def test_battery_has_a_band() -> None:
    """Low at 15 %, dead at 5 %, and neither flickers while the value wavers."""
    watch = _supervision()
    seen = []
    for percent in (16, 15, 17, 5, 7, 11, 20):
        watch.reading(Reading("pir", "battery", 0, float(percent)), 0.0)
        seen.append(_faults(watch.faults(1.0)))
    low, dead = Fault.SENSOR_BATTERY_LOW, Fault.SENSOR_BATTERY
    assert seen == [set(), {low}, {low}, {low, dead}, {low, dead}, {low}, set()]


@pytest.mark.parametrize(
    ("metric", "fault"), [("battery_low", Fault.SENSOR_BATTERY_LOW), ("tamper", Fault.SENSOR_TAMPER)]
)
def test_flags(metric: str, fault: Fault) -> None:
    """A device's own word opens and ends it."""
    watch = _supervision()
    watch.reading(Reading("pir", metric, 0, True), 0.0)
    assert watch.faults(1.0) == {(fault, "pir")}
    watch.reading(Reading("pir", metric, 0, False), 0.0)
    assert watch.faults(1.0) == set()


def test_impossible_values_in_a_row() -> None:
    """Three impossible or refused values in a row are a fault; three good ones end it; a single one is nothing."""
    watch = _supervision()

    def see(*values: Value) -> set[Fault]:
        for value in values:
            watch.reading(Reading("pir", "temperature", 0, value), 0.0)
        return _faults(watch.faults(1.0))

    assert see(75.0, 75.0, 21.0, 75.0, 75.0) == set()
    watch.refused("pir")
    assert _faults(watch.faults(1.0)) == {Fault.SENSOR_IMPLAUSIBLE}
    assert see(21.0, 21.0, 75.0, 21.0, 21.0) == {Fault.SENSOR_IMPLAUSIBLE}
    assert see(21.0) == set()


def test_stuck_value() -> None:
    """A heart that beats exactly alike for half an hour is a stuck sensor; the next other value ends it."""
    watch = _supervision()
    for second in range(0, 1_861, 30):
        watch.reading(Reading("oxi", "heart_rate", second, 72.0), float(second))
        watch.heard("oxi", float(second))
    assert watch.faults(1_861.0) == {(Fault.SENSOR_STUCK, "oxi")}
    watch.reading(Reading("oxi", "heart_rate", 1_890, 73.0), 1_890.0)
    watch.heard("oxi", 1_890.0)
    assert watch.faults(1_891.0) == set()
