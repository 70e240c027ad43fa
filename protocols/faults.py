"""Technical faults a gateway reports: the reasons of alarms of kind `technical`, and the causes of their incidents."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Fault(StrEnum):
    """What is wrong with a device (`sensor_…`) or with the gateway itself; stable on the wire."""

    SENSOR_SILENT = "sensor_silent"
    SENSOR_BATTERY_LOW = "sensor_battery_low"
    SENSOR_BATTERY = "sensor_battery"
    SENSOR_STUCK = "sensor_stuck"
    SENSOR_IMPLAUSIBLE = "sensor_implausible"
    SENSOR_TAMPER = "sensor_tamper"
    SENSOR_CRIES_OFTEN = "sensor_cries_often"
    """Its alarms were for nothing several times in a day: it stays in use, and somebody should look at it."""
    MAINS_LOST = "mains_lost"
    DISK_FILLING = "disk_filling"
    TOO_HOT = "too_hot"
    MEMORY_SHORT = "memory_short"
    HOME_BROKER_LOST = "home_broker_lost"
    FALLBACK_SMS = "fallback_sms"
    """No SMS could leave the home: modem, SIM card or network."""
    DETECTOR_FAILED = "detector_failed"
    """A detector has a defect: what it watches is not watched, or not fully."""


def cause(reason: str, device: str | None) -> str:
    """The cause of the incident: the reason, and the device where it is not the gateway itself."""
    return reason if device in (None, "gateway") else f"{reason}:{device}"


TEST: Final = "test"
"""Reason of a test alarm: of kind technical, and yet it goes through the whole chain."""
