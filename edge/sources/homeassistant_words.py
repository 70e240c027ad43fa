"""Home Assistant MQTT discovery: abbreviations and device classes, as tables."""

from __future__ import annotations

ABBREVIATIONS: dict[str, str] = {
    "avty": "availability",
    "avty_mode": "availability_mode",
    "avty_t": "availability_topic",
    "avty_tpl": "availability_template",
    "cmd_t": "command_topic",
    "cmps": "components",
    "cns": "connections",
    "dev": "device",
    "dev_cla": "device_class",
    "evt_typ": "event_types",
    "exp_aft": "expire_after",
    "ids": "identifiers",
    "json_attr_t": "json_attributes_topic",
    "json_attr_tpl": "json_attributes_template",
    "mdl": "model",
    "mf": "manufacturer",
    "name": "name",
    "o": "origin",
    "obj_id": "object_id",
    "off_dly": "off_delay",
    "p": "platform",
    "pl_avail": "payload_available",
    "pl_home": "payload_home",
    "pl_not_avail": "payload_not_available",
    "pl_not_home": "payload_not_home",
    "pl_off": "payload_off",
    "pl_on": "payload_on",
    "pl_prs": "payload_press",
    "src_type": "source_type",
    "stat_cla": "state_class",
    "stat_t": "state_topic",
    "t": "topic",
    "uniq_id": "unique_id",
    "unit_of_meas": "unit_of_measurement",
    "val_tpl": "value_template",
}
"""Short key → long key, at every level."""

DEVICE_CLASS: dict[tuple[str, str], str] = {
    ("sensor", "temperature"): "temperature",
    ("sensor", "humidity"): "humidity",
    ("sensor", "illuminance"): "illuminance",
    ("sensor", "battery"): "battery",
    ("sensor", "carbon_monoxide"): "co_ppm",
    ("sensor", "signal_strength"): "rssi",
    ("sensor", "weight"): "weight",
    ("sensor", "speed"): "speed",
    ("sensor", "blood_glucose_concentration"): "glucose",
    ("binary_sensor", "motion"): "motion",
    ("binary_sensor", "moving"): "motion",
    ("binary_sensor", "occupancy"): "presence",
    ("binary_sensor", "presence"): "at_home",
    ("binary_sensor", "door"): "contact_open",
    ("binary_sensor", "window"): "contact_open",
    ("binary_sensor", "opening"): "contact_open",
    ("binary_sensor", "garage_door"): "contact_open",
    ("binary_sensor", "smoke"): "smoke",
    ("binary_sensor", "gas"): "gas",
    ("binary_sensor", "carbon_monoxide"): "co",
    ("binary_sensor", "moisture"): "flood",
    ("binary_sensor", "vibration"): "vibration",
    ("binary_sensor", "tamper"): "tamper",
    ("binary_sensor", "battery"): "battery_low",
    ("binary_sensor", "power"): "mains",
    ("binary_sensor", "plug"): "mains",
}
"""(component, device class) → metric. Without a class, an object id that is itself a metric's name counts."""

ATTRIBUTES: dict[str, str] = {
    "gps_accuracy": "accuracy",
    "latitude": "lat",
    "longitude": "lon",
    "battery_level": "battery",
}
"""Attributes of a device tracker → metric."""

READ = frozenset({"sensor", "binary_sensor", "event", "device_tracker"})
COMMANDED = frozenset({"switch", "light", "siren", "button"})
