"""Home Assistant MQTT discovery: abbreviations, device classes and names, as tables.

Source: its documentation, integration MQTT, "Supported abbreviations in MQTT discovery messages", and the pages of the
components read here. Of the published list every abbreviation of a key that is read is here.
"""

from __future__ import annotations

ENTITY: dict[str, str] = {
    "atype": "automation_type",
    "avty": "availability",
    "avty_mode": "availability_mode",
    "avty_t": "availability_topic",
    "avty_tpl": "availability_template",
    "cmd_t": "command_topic",
    "cmps": "components",
    "def_ent_id": "default_entity_id",
    "dev": "device",
    "dev_cla": "device_class",
    "evt_typ": "event_types",
    "exp_aft": "expire_after",
    "json_attr_t": "json_attributes_topic",
    "json_attr_tpl": "json_attributes_template",
    "o": "origin",
    "obj_id": "object_id",
    "off_dly": "off_delay",
    "p": "platform",
    "pl": "payload",
    "pl_avail": "payload_available",
    "pl_home": "payload_home",
    "pl_not_avail": "payload_not_available",
    "pl_not_home": "payload_not_home",
    "pl_off": "payload_off",
    "pl_on": "payload_on",
    "pl_rst": "payload_reset",
    "stat_t": "state_topic",
    "stype": "subtype",
    "t": "topic",
    "unit_of_meas": "unit_of_measurement",
    "val_tpl": "value_template",
}
"""Of an entity, and of what the entities of a device share."""

DEVICE: dict[str, str] = {"cns": "connections", "ids": "identifiers", "mdl": "model", "mf": "manufacturer"}
"""Of `device`."""

AVAILABILITY: dict[str, str] = {
    "pl_avail": "payload_available",
    "pl_not_avail": "payload_not_available",
    "t": "topic",
    "val_tpl": "value_template",
}
"""Of each entry of `availability`."""

DEVICE_CLASS: dict[tuple[str, str], str] = {
    ("sensor", "temperature"): "temperature",
    ("sensor", "humidity"): "humidity",
    ("sensor", "illuminance"): "illuminance",
    ("sensor", "battery"): "battery",
    ("sensor", "power"): "power",
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
"""(component, device class) → metric. Without a class, an object id that is itself a metric's name counts, or:"""

OBJECT_ID: dict[tuple[str, str], str] = {
    ("binary_sensor", "falling_information"): "fall_detected",
    ("binary_sensor", "person_information"): "presence",
    ("sensor", "real_time_heart_rate"): "heart_rate",
    ("sensor", "real_time_respiratory_rate"): "respiration_rate",
}
"""(component, object id) → metric: ESPHome's names for Seeed's radars MR60FDA2 (falls) and MR60BHA2 (breath, pulse)."""

ZERO_IS_NOTHING = frozenset({"heart_rate", "respiration_rate"})
"""A radar without a person and a watch that is not worn measure 0."""

ATTRIBUTES: dict[str, str] = {
    "gps_accuracy": "accuracy",
    "latitude": "lat",
    "longitude": "lon",
    "battery_level": "battery",
}
"""Attributes of a device tracker → metric; accuracy comes first, because a position is judged by it."""

EVENT_FIELD: dict[str, str] = {"Zigbee2MQTT": "action"}
"""Origin → where its states name the event: its template is a program with loops, which is not run."""

NOTHING_SAID = frozenset({"", "None", "unknown", "unavailable"})

READ = frozenset({"sensor", "binary_sensor", "event", "device_tracker", "device_automation"})
LISTED = frozenset({"switch", "light", "siren", "button"})
"""Of these only the availability is read; commands are the outputs' affair."""
