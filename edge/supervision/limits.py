"""The limits of supervision, as tables: when something is wrong, and when it is well again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.faults import Fault

MISSES: Final = 3
"""A device is silent after this many of its intervals."""
LEAST_SILENCE_S: Final = 60.0
LEARN_GAPS: Final = 20
"""Gaps between messages after which a device's own rhythm is known; until then nothing is concluded from silence."""
LEARN_LAST: Final = 64
LEARNED_LEAST_S: Final = 4 * 3600.0
"""A learned rhythm says nothing about shorter silences: people sleep, and go out."""


@dataclass(frozen=True, slots=True)
class Band:
    """Wrong at or below `low` (or at or above `high`), well again only beyond the other value."""

    wrong: float
    well: float

    def judge(self, value: float, holds: bool) -> bool:
        """Whether the fault holds now; between both values what held goes on."""
        if self.wrong < self.well:
            return value <= self.wrong or (holds and value < self.well)
        return value >= self.wrong or (holds and value > self.well)


BATTERY: Final = {Fault.SENSOR_BATTERY_LOW: Band(15, 20), Fault.SENSOR_BATTERY: Band(5, 10)}
"""Per cent."""
DISK_FREE: Final = Band(0.05, 0.10)
MEMORY_FREE: Final = Band(0.05, 0.10)
"""Shares."""
TEMPERATURE_CEL: Final = Band(80, 70)
"""A Raspberry Pi slows itself down from 80 °C."""
BROKER_LOST_S: Final = 60.0

PLAUSIBLE: Final = {
    "temperature": (-30.0, 60.0),
    "humidity": (1.0, 100.0),
    "body_temperature": (25.0, 45.0),
    "heart_rate": (20.0, 250.0),
    "spo2": (40.0, 100.0),
    "respiration_rate": (2.0, 80.0),
    "weight": (2.0, 300.0),
}
"""Metric → what a sound sensor on a living person, or in a home, can show."""
IMPLAUSIBLE_IN_A_ROW: Final = 3

STUCK: Final = {
    "heart_rate": (1_800.0, 60),
    "temperature": (172_800.0, 200),
    "humidity": (172_800.0, 200),
    "body_temperature": (172_800.0, 200),
    "respiration_rate": (7_200.0, 100),
}
"""Metric → (seconds, readings): exactly the same value for so long and so often. Saturation of 100 % may last."""
