"""Zigbee2MQTT's names for what its devices report, as tables; each is published on the page of a device that has it."""

from __future__ import annotations

METRICS: dict[str, str] = {
    "occupancy": "motion",
    "presence": "presence",
    "pressure": "presence",
    "contact": "contact_open",
    "water_leak": "flood",
    "smoke": "smoke",
    "gas": "gas",
    "carbon_monoxide": "co",
    "co": "co_ppm",
    "vibration": "vibration",
    "tamper": "tamper",
    "battery": "battery",
    "battery_low": "battery_low",
    "temperature": "temperature",
    "humidity": "humidity",
    "illuminance": "illuminance",
    "power": "power",
    "illuminance_lux": "illuminance",
    "sos": "sos",
    "breathing_rate": "respiration_rate",
}
"""Attribute → metric. What is not here is not taken: device_temperature, say, is that of the chip."""

ONLY_FLAGS = frozenset({"pressure"})
"""A mat says true; of a weather sensor it is the pressure of the air."""

STATES: dict[str, dict[str, dict[str, bool]]] = {
    "fall_down_status": {"fall_detected": {"none": False, "maybe_fall": False, "fall": True}},
    "status": {
        "fall_detected": {
            "unoccupied": False,
            "occupied": False,
            "sitting": False,
            "on_the_bed": False,
            "low_posture": False,
            "falling": True,
        },
        "presence": {
            "unoccupied": False,
            "occupied": True,
            "sitting": True,
            "on_the_bed": True,
            "low_posture": True,
            "falling": True,
        },
    },
    "motion_state": {"motion": {"none": False, "static": False, "small": True, "large": True}},
    "state": {"motion": {"none": False, "presence": False, "move": True}},
    "action": {"vibration": {"vibration": True, "tilt": True, "drop": True}},
}
"""Attribute → metric → word → value: radars (Tuya MIR-HE200-TY, OWON FDS315, Tuya ZG-204ZM and ZY-M100-24G) and the
vibration sensor whose vibrations are actions (Aqara DJT11LM). Of a word that is not here nothing is known.
"""

MUST_BE_KNOWN = frozenset({"fall_down_status"})
"""Attributes with no other meaning elsewhere: an unknown word is refused, not passed over."""

ZERO_IS_NOTHING = frozenset({"breathing_rate"})
"""A radar that sees nobody measures 0."""

INVERTED = frozenset({"contact"})
"""Zigbee2MQTT's contact is true while closed."""

ONLY_ON_CHANGE = frozenset({"sos", "fall_detected"})
"""Happenings: the cached state of one says nothing new."""

VOLATILE = frozenset({"linkquality", "last_seen", "voltage", "update", "update_available", "elapsed"})
"""Attributes that change by themselves."""

BATTERY_INTERVAL_S = 30_000.0
"""Three of these are Zigbee2MQTT's own 25 h after which a battery device counts as gone."""

MAINS_INTERVAL_S = 3_600.0
"""A router is asked by the coordinator and reports at least about hourly."""
