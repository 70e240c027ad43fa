"""Tasmota's names for what it measures, as tables; each is in its documentation of a sensor that has it."""

from __future__ import annotations

from edge.readings import DeviceRole

METRICS: dict[str, str] = {
    "temperature": "temperature",
    "humidity": "humidity",
    "illuminance": "illuminance",
    "battery": "battery",
}
"""Value of a sensor (lower case, without the number that tells several apart) → metric."""

NOT_OF_THE_ROOM = frozenset({"ESP32"})
"""Sensors that measure the board: the temperature of its chip is not that of the room."""

SWITCH_MEANS: dict[DeviceRole, str] = {
    DeviceRole.CONTACT: "contact_open",
    DeviceRole.MOTION: "motion",
    DeviceRole.PRESENCE: "presence",
    DeviceRole.FLOOD: "flood",
    DeviceRole.SMOKE: "smoke",
    DeviceRole.GAS: "gas",
    DeviceRole.BED: "bed_occupied",
    DeviceRole.SEAT: "presence",
}
"""What a switch that is on says, by the role the configuration gives the device."""

WRAPPED = ("StatusSNS", "StatusSTS")
"""Answers to `Status 10` and `Status 11` hold what SENSOR and STATE hold."""

INTERVAL_S = 300.0
"""Tasmota's own TelePeriod."""
