"""What a value means by the role of its device, and what a press means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge.readings import Device, DeviceRole, Reading
from edge.sources.base import Heard, Message
from edge.sources.roles import by_role
from edge.sources.roster import PRESS_MEANS, press
from edge.sources.zigbee2mqtt import Zigbee2MqttSource
from protocols.errors import ProtocolError

NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("role", "metric", "value", "expected"),
    [
        (DeviceRole.BED, "presence", True, ("bed_occupied", True)),
        (DeviceRole.BED, "motion", True, ("bed_occupied", True)),
        (DeviceRole.BED, "contact_open", False, ("bed_occupied", True)),
        (DeviceRole.BED, "contact_open", True, ("bed_occupied", False)),
        (DeviceRole.BED, "illuminance", 4000.0, None),
        (DeviceRole.BED, "battery", 80.0, ("battery", 80.0)),
        (DeviceRole.SEAT, "bed_occupied", True, ("presence", True)),
        (DeviceRole.SEAT, "contact_open", False, ("presence", True)),
        (DeviceRole.SEAT, "illuminance", 4000.0, None),
        (DeviceRole.PRESENCE, "motion", True, ("presence", True)),
        (DeviceRole.PRESENCE, "contact_open", True, ("contact_open", True)),
        (DeviceRole.MOTION, "motion", True, ("motion", True)),
        (DeviceRole.CONTACT, "contact_open", True, ("contact_open", True)),
        (DeviceRole.THERMOMETER, "temperature", 37.1, ("body_temperature", 37.1)),
    ],
)
def test_a_value_means_what_its_role_says(
    role: DeviceRole, metric: str, value: bool | float, expected: tuple[str, object] | None
) -> None:
    """A mat on a contact sensor is closed by weight; its raw pressure is no light; a radar's motion is presence."""
    one = by_role(Reading("d", metric, NOW, value), role)
    assert (one and (one.metric, one.value)) == expected


def test_what_is_impossible_by_role_is_refused() -> None:
    """A room may have 5 °C, a body not: refused, as it would be from a device that calls it a body's temperature."""
    with pytest.raises(ProtocolError) as caught:
        by_role(Reading("d", "temperature", NOW, 5.0), DeviceRole.THERMOMETER)
    assert (caught.value.reason, caught.value.where) == ("out_of_range", "d.body_temperature")


def test_a_radar_that_tells_both_keeps_both() -> None:
    """Motion becomes presence only where the device has no presence of its own."""
    one = Reading("d", "motion", NOW, False)
    assert by_role(one, DeviceRole.PRESENCE, {"presence", "motion"}) is one


@pytest.mark.parametrize(
    ("action", "meaning"),
    [
        ("single", "cancel"),
        ("1_single", "cancel"),
        ("single_left", "cancel"),
        ("button_double_press", "help"),
        ("button_short_press", "cancel"),
        ("on-hold", "help"),
        ("DOUBLE", "help"),
        ("triple", "help"),
        ("quadruple", "help"),
        ("many", "help"),
        ("emergency", "sos"),
        ("hold", "help"),
        ("hold_release", None),
        ("button_long_release", None),
        ("brightness_move_stop", None),
        ("disarm", None),
        ("", None),
        ("rotate_right", None),
        ("singleton", None),
    ],
)
def test_words_of_a_press(action: str, meaning: str | None) -> None:
    """Whole words count, the most serious of several; the end of a press is none, and so is what is not known."""
    one = press(Device("b", DeviceRole.BUTTON), action, NOW)
    if meaning == "sos":
        assert one == Reading("b", "sos", NOW, True)
    else:
        assert (one and one.value) == meaning


def test_any_press_of_an_sos_button_is_an_sos() -> None:
    """Whatever the word, but not the end of a press."""
    device = Device("s", DeviceRole.SOS)
    said = ["single", "rotate_right", "off", "release", "1_release", "none"]
    assert [press(device, word, NOW) is not None for word in said] == [True, True, True, False, False, False]


def test_the_configured_table_replaces_the_usual_one() -> None:
    """Capital letters are no difference, and words that are not in the table mean nothing."""
    device = Device("b", DeviceRole.BUTTON, actions=(("Hold", "sos"), ("1_single", "cancel")))
    said = [press(device, word, NOW) for word in ("hold", "1_single", "2_single", "double")]
    assert [one and one.value for one in said] == [True, "cancel", None, None]


def test_every_meaning_is_known() -> None:
    """Of the seriousness of a press there is an order."""
    assert {m for table in PRESS_MEANS.values() for m in table.values()} <= {"cancel", "help", "sos"}


RADAR = (Device("r", DeviceRole.PRESENCE, source="zigbee2mqtt", address="r"),)


def _say(source: Zigbee2MqttSource, topic: str, body: Any, at: float = NOW) -> Heard:
    return source.read(Message(f"zigbee2mqtt/{topic}", json.dumps(body).encode(), at))


def test_a_fall_that_a_radar_repeats_is_one_fall() -> None:
    """OWON's radar keeps saying `falling` with other attributes; the next fall comes after it said something else."""
    source = Zigbee2MqttSource(RADAR)

    def falls(status: str, battery: int, after_s: float) -> bool:
        heard = _say(source, "r", {"status": status, "battery": battery}, NOW + after_s)
        return ("fall_detected", True) in [(r.metric, r.value) for r in heard.readings]

    said = [("occupied", 90), ("falling", 90), ("falling", 89), ("falling", 89), ("on_the_bed", 89), ("falling", 89)]
    assert [falls(status, battery, 60.0 * i) for i, (status, battery) in enumerate(said)] == [
        False,
        True,
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("exposes", "expected"),
    [
        ([{"property": "pressure", "type": "numeric"}], set()),
        ([{"property": "pressure", "type": "binary"}], {"presence"}),
        ([{"type": "switch", "features": [{"property": "state", "type": "binary"}]}], set()),
        ([{"property": "state", "type": "enum", "values": ["none", "presence", "move"]}], {"motion"}),
        ([{"property": "status", "type": "enum", "values": ["unoccupied", "falling"]}], {"presence", "fall_detected"}),
        ([{"property": "action", "type": "enum", "values": ["single", "double"]}], set()),
        ([{"property": "action", "type": "enum", "values": ["vibration", "tilt", "drop"]}], {"vibration"}),
        ([{"type": "light", "features": [{"features": [{"property": "battery"}]}]}], {"battery"}),
        ([{"property": ["x"], "values": 5}, None, 7], set()),
    ],
)
def test_what_a_zigbee_device_offers(exposes: list[Any], expected: set[str]) -> None:
    """A name means what its type and words say: a plug's `state` is no motion, a barometer's pressure no presence."""
    source = Zigbee2MqttSource(())
    _say(source, "bridge/devices", [{"ieee_address": "0x1", "friendly_name": "x", "definition": {"exposes": exposes}}])
    assert [seen.metrics for seen in source.seen()] == [expected]


@pytest.mark.parametrize(("actions", "presses"), [(["off", "emergency"], 0), (["on", "off"], 1), (None, 1)])
def test_off_of_an_emergency_button_is_its_rest(actions: list[str] | None, presses: int) -> None:
    """Of a button whose actions have `off` but no `on`, `off` ends the press; of others it is one of two buttons."""
    source = Zigbee2MqttSource([Device("s", DeviceRole.SOS, source="zigbee2mqtt", address="0x1")])
    exposes = [{"property": "action", "type": "enum", "values": actions}] if actions else []
    _say(source, "bridge/devices", [{"ieee_address": "0x1", "friendly_name": "x", "definition": {"exposes": exposes}}])
    assert len(_say(source, "x", {"action": "off"}).readings) == presses


def test_an_unknown_word_of_a_fall_sensor_is_refused() -> None:
    """A word for a fall that is not published could be one: refused by name and counted, not passed over."""
    heard = _say(Zigbee2MqttSource(RADAR), "r", {"fall_down_status": "tumble", "presence": True})
    assert [(e.reason, e.where) for e in heard.refused] == [("wrong_type", "zigbee2mqtt.r.fall_down_status")]
    assert [(r.metric, r.value) for r in heard.readings] == [("presence", True)]
