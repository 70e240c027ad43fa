"""One event for every detector of the gateway, as a stream of moments: what the contract suite is run on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from edge.detectors.base import Detection, Detector
from edge.detectors.bed import BedDetector
from edge.detectors.contact import ContactDetector
from edge.detectors.fall import FallDetector
from edge.detectors.habits import HabitsDetector
from edge.detectors.home.carbon_monoxide import CarbonMonoxideDetector
from edge.detectors.home.climate import ClimateDetector
from edge.detectors.home.radar import RadarFallDetector
from edge.detectors.home.stove import StoveDetector
from edge.detectors.location.departure import DepartureDetector
from edge.detectors.location.geofence import GeofenceDetector
from edge.detectors.location.wandering import WanderingDetector
from edge.detectors.routine import RoutineDetector
from edge.detectors.series import SeriesDetector
from edge.detectors.trends import TrendDetector
from edge.detectors.unusual import UnusualDetector, Watched
from edge.detectors.vitals import VitalsDetector
from edge.readings import BodyPosition, Device, DeviceRole, Reading, SignalFrame
from protocols.metrics import Value
from protocols.wire import AlarmKind, Priority
from tests.edge.detectors import fall_physics, test_bed, test_habits, test_routine
from tests.edge.detectors.location.test_walks import FENCES, HOURS
from tests.edge.detectors.location.walks import NOON, Receiver, received, rest, walk

ZONE = ZoneInfo("Asia/Shanghai")
Moment = tuple[float, list[Reading | SignalFrame]]
"""The gateway's time, and what arrives then; every moment ends with a tick."""

DEVICES = (
    Device("pir-kitchen", DeviceRole.MOTION, "kitchen"),
    Device("pir-hall", DeviceRole.MOTION, "hall"),
    Device("front-door", DeviceRole.CONTACT, "entrance"),
    Device("air", DeviceRole.CLIMATE, "bedroom"),
    Device("stove", DeviceRole.STOVE, "kitchen"),
    Device("radar", DeviceRole.PRESENCE, "bathroom"),
)


@dataclass(frozen=True)
class Case:
    """`steady` says that the alarm follows a condition that must hold: a step of the clock before it must not raise
    it. `light` streams are short and in seconds, so that many can be put together.
    """

    name: str
    make: Callable[[], Detector]
    stream: Callable[[], list[Moment]]
    steady: bool = True
    light: bool = False


class Scored:
    """The series detector as a detector of one metric: its scores are the detections, so that each is compared."""

    def __init__(self) -> None:
        self._series = SeriesDetector()

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """A score for every number of the series."""
        if reading.device != "s":
            return []
        score = 0.0 if isinstance(reading.value, bool | str) else self._series.push(reading.value)
        return [Detection(AlarmKind.TECHNICAL, Priority.LOW, now, "s", "unusual", score)] if score > 0 else []

    def state(self) -> dict[str, Any]:
        """That of the series."""
        return self._series.state()

    def restore(self, state: dict[str, Any]) -> None:
        """That of the series."""
        self._series.restore(state)


def moments(readings: Iterable[Reading], tick_s: float, until: float | None = None) -> list[Moment]:
    """Readings at their own times, and empty moments in between, as the gateway's clock ticks."""
    found: list[Moment] = []
    now: float | None = None
    for reading in sorted(readings, key=lambda r: r.at):
        while now is not None and now + tick_s < reading.at:
            now += tick_s
            found.append((now, []))
        if reading.at == now:
            found[-1][1].append(reading)
        else:
            now = reading.at
            found.append((now, [reading]))
    while now is not None and until is not None and now + tick_s <= until:
        now += tick_s
        found.append((now, []))
    return found


def _at(times: Iterable[float], device: str, metric: str, value: Callable[[float], Value]) -> list[Reading]:
    return [Reading(device, metric, NOON + t, value(t)) for t in times]


def _vitals() -> list[Moment]:
    """A saturation that falls and comes back."""
    rng = random.Random(5)
    spo2 = _at(range(520), "oxi", "spo2", lambda t: 85.0 if 60 <= t < 250 else 97.0)
    return moments([*spo2, *_at(range(520), "oxi", "heart_rate", lambda t: round(76 + rng.gauss(0, 1), 1))], 1)


def _trends() -> list[Moment]:
    """Ten weeks of a pulse that then rises, and in the last days more weight and little glucose."""
    rng = random.Random(3)
    pulse = [Reading("w", "heart_rate", NOON + n * 7200, 66 + rng.gauss(0, 2) + 8 * (n > 744)) for n in range(840)]
    weight = [Reading("scale", "weight", NOON + n * 86_400, 70 + rng.gauss(0, 0.2) + 2 * (n > 67)) for n in range(70)]
    sugar = _at((5_800_000, 5_800_600, 5_801_200), "meter", "glucose", lambda t: 3.4)
    return moments([*pulse, *weight, *sugar], 1e9)


def _bed() -> list[Moment]:
    """Two usual weeks, and a night in which nobody comes back to bed for two hours."""
    rng, hour, begin = random.Random(1), 3600.0, test_bed.NOON + 14 * test_bed.DAY
    changes = [c for n in range(14) for c in test_bed.night(n, rng)]
    changes += [(begin + h * hour, occupied) for h, occupied in ((10, True), (14, False), (16, True))]
    return moments([Reading("bed", "bed_occupied", at, occupied) for at, occupied in changes], 300)


def _way(points: list[tuple[float, float]]) -> list[Moment]:
    way = rest(walk(points, 0.9), 900)
    seen = received(way, Receiver(10, 8), random.Random(2))
    parts = [(s.at, {"accuracy": s.accuracy, "lat": s.lat, "lon": s.lon}) for s in seen]
    return moments([Reading("phone", name, at, value) for at, fix in parts for name, value in fix.items()], 2)


def _climate() -> list[Moment]:
    """Three hours at 8 degrees, and warm again."""
    return moments(_at(range(0, 28_800, 300), "air", "temperature", lambda t: 8.0 if 3600 < t < 14_400 else 21.0), 60)


def _carbon_monoxide() -> list[Moment]:
    """A heater that burns badly for half an hour, and air."""
    return moments(_at(range(0, 4_000, 60), "air", "co_ppm", lambda t: 130.0 if 600 < t < 2_400 else 4.0), 10)


def _stove() -> list[Moment]:
    """On while somebody leaves, and alone for an hour."""
    power = _at(range(0, 4_500, 60), "stove", "power", lambda t: 1_200.0)
    seen = _at((0, 100, 4_200), "pir-kitchen", "motion", lambda t: t != 100)
    return moments([*power, *seen], 20)


def _contact() -> list[Moment]:
    """Smoke that ends, and two presses."""
    smoke = _at((10, 20, 60), "smoke", "smoke", lambda t: t < 60)
    return moments([*smoke, *_at((30, 32, 200), "sos", "sos", lambda t: t != 32)], 1)


def _radar() -> list[Moment]:
    """Down, and up again."""
    return moments(_at((10, 60), "radar", "fall_detected", lambda t: t == 10), 0.5, NOON + 90)


def _departure() -> list[Moment]:
    """Out at midnight, and back after twenty minutes."""
    late = 12 * 3600.0
    inside = _at((late, late + 30, late + 1_300), "pir-hall", "motion", lambda t: t != late + 30)
    moves = (late + 60, late + 70, late + 1_250, late + 1_260)
    door = _at(moves, "front-door", "contact_open", lambda t: t in (moves[0], moves[2]))
    return moments([*inside, *door], 5, NOON + late + 1_400)


def _fall() -> list[Moment]:
    """One fall, from physics."""
    signal, _ = fall_physics.fall(peak=6.0, after_s=12.0)
    return [(frame.at + 0.5, [frame]) for frame in fall_physics.frames(signal, at=NOON)]


def _routine() -> list[Moment]:
    """Twelve usual days, and then silence from ten in the morning."""
    rng = random.Random(4)
    usual = [r for n in range(12) for r in test_routine.day(n, rng)]
    last = test_routine.START + 12 * test_routine.DAY
    morning = [r for r in test_routine.day(12, rng) if r.at < last + 10 * 3600]
    return moments([*usual, *morning], 600, last + 24 * 3600)


def _habits() -> list[Moment]:
    """Twelve usual days, and one without a meal."""
    rng = random.Random(4)
    usual = [r for n in range(12) for r in test_habits.day(n, rng)]
    hungry = [r for r in test_habits.day(12, rng) if r.device != "fridge"]
    return moments([*usual, *hungry], 600, test_habits.START + 13 * test_habits.DAY)


def _series() -> list[Moment]:
    """A daily rhythm with a spike."""
    rng = random.Random(6)
    values = [10 + 5 * (n % 96 > 48) + rng.gauss(0, 0.5) + 6 * (n == 1_100) for n in range(1_400)]
    return [(NOON + n, [Reading("s", "illuminance", NOON + n, value)]) for n, value in enumerate(values)]


def _unusual() -> list[Moment]:
    """A value in each row for five days with a rhythm; on the fifth something runs that never did."""
    rng = random.Random(7)
    values = [10 + 5 * (n % 288 > 144) + rng.gauss(0, 0.5) for n in range(1_440)]
    values[1_260:1_290] = [90.0 + 600.0 * (n % 2) for n in range(30)]
    return [(NOON + 300 * n, [Reading("pir-hall", "illuminance", NOON + 300 * n, v)]) for n, v in enumerate(values)]


CASES = (
    Case("vitals", VitalsDetector, _vitals, light=True),
    Case("trends", lambda: TrendDetector(ZONE), _trends, steady=False),
    Case("bed", lambda: BedDetector("bed", ZONE), _bed),
    Case(
        "geofence",
        lambda: GeofenceDetector("phone", FENCES, HOURS),
        lambda: _way([(0.0, 0.0), (320.0, 0.0), (320.0, 20.0), (0.0, 0.0)]),
        light=True,
    ),
    Case(
        "wandering",
        lambda: WanderingDetector("phone", "always", HOURS, FENCES),
        lambda: _way([(90.0 * (i % 2), 0.0) for i in range(14)]),
    ),
    Case("climate", lambda: ClimateDetector(DEVICES), _climate),
    Case("carbon_monoxide", lambda: CarbonMonoxideDetector(DEVICES), _carbon_monoxide, light=True),
    Case("stove", lambda: StoveDetector(DEVICES), _stove, light=True),
    Case("radar", lambda: RadarFallDetector(DEVICES), _radar, light=True),
    Case("contact", ContactDetector, _contact, steady=False, light=True),
    Case("departure", lambda: DepartureDetector(DEVICES, HOURS), _departure),
    Case("fall", lambda: FallDetector("w", BodyPosition.WAIST), _fall, steady=False),
    Case("routine", lambda: RoutineDetector(test_routine.HOME, test_routine.profile()), _routine),
    Case("habits", lambda: HabitsDetector(test_habits.DEVICES, ZONE), _habits),
    Case("series", Scored, _series, steady=False),
    Case("unusual", lambda: UnusualDetector(DEVICES, Watched(without_rule=True)), _unusual),
)
