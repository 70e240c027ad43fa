"""Properties of Theengs Decoder, which Theengs Gateway and OpenMQTTGateway publish, as tables."""

from __future__ import annotations

from edge.readings import DeviceRole

METRICS: dict[str, str] = {
    "tempc": "temperature",
    "hum": "humidity",
    "batt": "battery",
    "batt_low": "battery_low",
    "lowbatt": "battery_low",
    "lux": "illuminance",
    "bpm": "heart_rate",
    "weight": "weight",
    "steps": "steps",
    "open": "contact_open",
    "contact": "contact_open",
    "motion": "motion",
    "presence": "motion",
    "rssi": "rssi",
}
"""Property → metric. What is not here is not taken; `pres` is air pressure, and no presence."""

CONTACT: dict[str, bool] = {"closed": False, "open": True, "timeout not closed": True}
"""SwitchBot's words for a door."""

ONLY_FOR: dict[str, tuple[DeviceRole, ...]] = {
    "open": (DeviceRole.CONTACT, DeviceRole.BED, DeviceRole.SEAT),
    "contact": (DeviceRole.CONTACT, DeviceRole.BED, DeviceRole.SEAT),
}
"""Property → roles of which it is taken: thermometers with other firmware report a free pin of theirs as `open`."""

NOT_OF: dict[str, frozenset[str]] = {"WCVR": frozenset({"open", "motion"})}
"""Type of device → properties that mean something else there: a blind is open by so many per cent, and moves itself."""

PRESSES: dict[int, str] = {1: "single", 2: "double", 3: "triple", 9: "long", 11: "hold"}
"""Shelly BLU's codes of a press; 0 is none."""
