"""Zigbee2MQTT's names for what its devices report, as tables."""

from __future__ import annotations

METRICS: dict[str, str] = {
    "occupancy": "motion",
    "motion": "motion",
    "presence": "presence",
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
    "illuminance_lux": "illuminance",
    "fall_down_status": "fall_detected",
    "sos": "sos",
    "emergency": "sos",
    "heart_rate": "heart_rate",
    "breathing_rate": "respiration_rate",
}
"""Attribute → metric. What is not here is not taken."""

INVERTED = frozenset({"contact"})
"""Zigbee2MQTT's contact is true while closed."""

WORDS: dict[str, dict[str, bool]] = {"fall_down_status": {"none": False, "maybe_fall": False, "fall": True}}
"""Attributes whose values are words."""

ONLY_ON_CHANGE = frozenset({"sos", "fall_detected"})
"""Happenings: the cached state of one says nothing new."""

SENSED = frozenset({"motion", "contact_open", "presence", "vibration"})
"""Flags that other attributes' messages repeat from the cache."""

VOLATILE = frozenset({"linkquality", "last_seen", "voltage", "update", "update_available", "elapsed"})
"""Attributes that change by themselves."""

BATTERY_INTERVAL_S = 30_000.0
"""Three of these are Zigbee2MQTT's own 25 h after which a battery device counts as gone."""

MAINS_INTERVAL_S = 3_600.0
"""A router is asked by the coordinator and reports at least about hourly."""
