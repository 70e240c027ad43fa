"""Heat and cold: the published index, levels that hold, hysteresis, and rooms simulated by physics."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

from edge.config import ConfigError, load
from edge.detectors.base import Detection
from edge.detectors.home.climate import ClimateDetector
from edge.detectors.home.heat_index import heat_index
from edge.readings import Device, DeviceRole, Reading
from protocols.wire import AlarmKind, Priority

_DEVICES = (Device("air-1", DeviceRole.CLIMATE, "bedroom"), Device("air-2", DeviceRole.CLIMATE, "living_room"))
_START = 1_700_000_000.0
_HOUR = 3600.0


@pytest.mark.parametrize(
    ("fahrenheit", "humidity", "chart"),
    [(80, 40, 80), (86, 50, 88), (90, 70, 105), (94, 60, 110), (100, 40, 109), (104, 55, 137), (110, 40, 136)],
)
def test_heat_index_agrees_with_the_chart(fahrenheit: int, humidity: int, chart: int) -> None:
    """The chart of the National Weather Service, to within its rounding."""
    assert heat_index((fahrenheit - 32) * 5 / 9, humidity) * 9 / 5 + 32 == pytest.approx(chart, abs=1.3)


def test_heat_index_when_cool_is_near_the_air() -> None:
    """Below the regression's range it stays within three degrees of the temperature."""
    for celsius in range(26):
        for humidity in (5, 50, 95):
            assert abs(heat_index(celsius, humidity) - celsius) < 4


def _room(
    outside: float, swing: float, humidity: float | None, hours: float, detector: ClimateDetector, restart: bool = False
) -> list[Detection]:
    """A room that follows the weather with a time constant of three hours, read every ten minutes with noise."""
    rng, found, inside = random.Random(1), [], 24.0
    for i in range(int(hours * 60)):
        now = _START + 60.0 * i
        weather = outside + swing * math.sin(2 * math.pi * i / 1440)
        inside += (weather - inside) / 180.0
        if i % 10 == 0:
            pairs = [("temperature", inside + rng.gauss(0, 0.1))]
            pairs += [] if humidity is None else [("humidity", humidity + rng.gauss(0, 1))]
            for metric, value in pairs:
                found += detector.on_reading(Reading("air-1", metric, now, value), now)
        found += detector.on_tick(now)
        if restart and i % 50 == 0:
            state, detector = json.loads(json.dumps(detector.state())), ClimateDetector(_DEVICES)
            detector.restore(state)
    return found


@pytest.mark.parametrize("restart", [False, True])
def test_a_heat_wave(restart: bool) -> None:
    """A home without air conditioning at 34 degrees and 65 %: low, then medium, each once for the whole wave."""
    found = _room(34.0, 1.0, 65.0, 48, ClimateDetector(_DEVICES), restart)
    assert [(d.kind, d.priority, d.reason) for d in found] == [
        (AlarmKind.HEAT, Priority.MEDIUM, "heat_danger"),
    ] or [d.reason for d in found] == ["heat_extreme_caution", "heat_danger"]


def test_dry_heat_is_less() -> None:
    """The same 34 degrees at 20 % stay below danger."""
    reasons = [d.reason for d in _room(34.0, 0.0, 20.0, 24, ClimateDetector(_DEVICES))]
    assert reasons == ["heat_extreme_caution"] or reasons == []


@pytest.mark.parametrize(
    ("outside", "reasons"),
    [
        (20.0, []),
        (15.0, ["cold_below_18"]),
        (10.5, ["cold_below_18", "cold_below_12"]),
        (5.0, ["cold_below_12", "cold_below_9"]),
    ],
)
def test_cold_by_level(outside: float, reasons: list[str]) -> None:
    """An unheated home in winter: each level after its hours."""
    found = _room(outside, 0.0, None, 36, ClimateDetector(_DEVICES))
    assert {d.kind for d in found} <= {AlarmKind.COLD}
    assert [d.reason for d in found][-len(reasons) or 99 :] == reasons


def test_it_ends_with_hysteresis() -> None:
    """Around the limit there is one alarm and no end; a degree better for half an hour ends it."""
    detector, found = ClimateDetector(_DEVICES), []

    def hours(celsius: tuple[float, ...], n: int, begin: float) -> float:
        for i in range(n * 6):
            now = begin + 600.0 * i
            found.extend(detector.on_reading(Reading("air-1", "temperature", now, celsius[i % len(celsius)]), now))
        return begin + n * _HOUR

    at = hours((17.8, 18.3), 24, _START)
    assert [d.reason for d in found] == ["cold_below_18"]
    hours((19.6,), 2, at)
    assert [d.reason for d in found] == ["cold_below_18", "condition_ended"]
    assert found[-1].cleared


def test_silence_gaps_and_steps_never_alarm() -> None:
    """One cold value before a day of silence, a gateway that was off, a clock that steps: nothing has held."""
    for step in (86_400.0, -86_400.0, 7 * 86_400.0):
        detector = ClimateDetector(_DEVICES)
        assert detector.on_reading(Reading("air-1", "temperature", _START, 5.0), _START) == []
        found = [d for i in range(600) for d in detector.on_tick(_START + step + 60.0 * i)]
        assert [d.reason for d in found if "9" in d.reason] in ([], ["cold_below_9"])
        assert all(d.at >= _START + step + 2 * _HOUR - 1 for d in found)


def test_a_room_that_speaks_often_delays_no_other() -> None:
    """One room speaks every half minute; the other has said once that it is cold, and is told after two hours."""
    rooms = [Device(name, DeviceRole.CLIMATE, name) for name in ("cold", "chatty")]
    detector, found = ClimateDetector(rooms), list[Detection]()
    detector.on_reading(Reading("cold", "temperature", _START, 8.0), _START)
    for i in range(1, 260):
        now = _START + 30.0 * i
        found += detector.on_reading(Reading("chatty", "temperature", now, 21.0), now)
        found += detector.on_tick(now)
    assert "cold_below_9" in [d.reason for d in found if d.device == "cold"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 95.0, 300.0, -40.0, True, "5"])
def test_wrong_values_never_alarm(value: float | bool | str) -> None:
    """NaN, Fahrenheit, kelvin, a freezer, a flag, a text: left out."""
    detector, found = ClimateDetector(_DEVICES), []
    for i in range(200):
        now = _START + 600.0 * i
        found += detector.on_reading(Reading("air-1", "temperature", now, value), now)
        found += detector.on_reading(Reading("air-1", "humidity", now, value), now)
    assert found == []


def test_limits_come_from_the_configuration(tmp_path: Path) -> None:
    """Limits that cannot be are named."""
    base = '[gateway]\nid = "gw-1"\n[cloud_broker]\nhost = "x"\n[[devices]]\nid = "air-1"\nrole = "climate"\n'
    path = tmp_path / "gateway.toml"
    path.write_text(base + "[climate]\nheat_c = [30, 35, 40]\ncold_c = [20, 14, 10]\n", encoding="utf-8")
    heat, cold = load(path).climate.levels()
    assert [level.limit_c for level in (*heat, *cold)] == [30, 35, 40, 20, 14, 10]
    assert "climate" in {listed.key for listed in load(path).own_detectors()}
    for section, words in (
        ("[climate]\nheat_c = [35, 30, 40]\n", "must ascend"),
        ("[climate]\ncold_c = [10, 12, 14]\n", "must descend"),
        ("[stove]\non_w = 10\noff_w = 50\n", "off_w <= on_w"),
    ):
        path.write_text(base + section, encoding="utf-8")
        with pytest.raises(ConfigError, match=words):
            load(path)
