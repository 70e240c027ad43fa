"""Tasmota: FullTopics, boards that announce themselves, and boards of which each part is a device."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge.config import ConfigError, DialectsSection
from edge.readings import Device, DeviceRole
from edge.sources.base import Heard, Message
from edge.sources.tasmota import TasmotaSource
from edge.sources.tasmota_topics import DEFAULT, FullTopic, Place

NOW = 1_795_000_000.0
DEVICES = (
    Device("hall", DeviceRole.CLIMATE, source="tasmota", address="shed"),
    Device("door", DeviceRole.CONTACT, source="tasmota", address="shed#Switch1"),
    Device("help", DeviceRole.SOS, source="tasmota", address="shed#Button2"),
    Device("cellar", DeviceRole.CLIMATE, source="tasmota", address="shed#DS18B20-2"),
)


def _say(source: TasmotaSource, topic: str, body: Any, retained: bool = False) -> Heard:
    payload = body if isinstance(body, str) else json.dumps(body)
    return source.read(Message(topic, payload.encode(), NOW, retained))


def _said(heard: Heard) -> dict[tuple[str, str], object]:
    return {(r.device, r.metric): r.value for r in heard.readings}


ANNOUNCED = {"t": "shed", "ft": "house/%topic%/%prefix%/", "tp": ["cmnd", "stat", "tele"], "dn": "Shed", "md": "ESP32"}


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        (DEFAULT, "tele/shed/SENSOR", Place("shed", True, "SENSOR")),
        (DEFAULT, "stat/shed/RESULT", Place("shed", False, "RESULT")),
        (DEFAULT, "cmnd/shed/POWER", None),
        (DEFAULT, "tele/shed/more/SENSOR", None),
        ("%topic%/%prefix%/", "shed/tele/STATE", Place("shed", True, "STATE")),
        ("%topic%/%prefix%", "shed/tele/STATE", Place("shed", True, "STATE")),
        ("home/%prefix%/cellar/%topic%/", "home/tele/cellar/shed/LWT", Place("shed", True, "LWT")),
        ("tasmota/%topic%-%id%/%prefix%/", "tasmota/shed-AABB/stat/RESULT", Place("shed", False, "RESULT")),
        ("%prefix%/%id%/", "tele/DC4F22AABBCC/SENSOR", Place("DC4F22AABBCC", True, "SENSOR")),
        ("%prefix%/%hostname%/", "tele/shed-1234/SENSOR", Place("shed-1234", True, "SENSOR")),
        ("a.b/%prefix%/%topic%/", "axb/tele/shed/SENSOR", None),
    ],
)
def test_full_topics(pattern: str, topic: str, expected: Place | None) -> None:
    """Whatever order: the board, whether it is telemetry, the name of the message."""
    assert FullTopic(pattern).match(topic) == expected


@pytest.mark.parametrize(
    ("pattern", "filters"),
    [
        (DEFAULT, {"stat/+/+", "tele/+/+"}),
        ("%topic%/%prefix%/", {"+/stat/+", "+/tele/+"}),
        ("tasmota/%topic%-%id%/%prefix%/", {"tasmota/+/stat/+", "tasmota/+/tele/+"}),
    ],
)
def test_filters_of_full_topics(pattern: str, filters: set[str]) -> None:
    """A token is one level, also beside other text."""
    assert FullTopic(pattern).filters() == filters


@pytest.mark.parametrize(
    "pattern", ["", "%topic%/", "%prefix%/", "%prefix%/%prefix%/%topic%/", "%prefix%/+/%topic%/", "%prefix%/%topic%/#"]
)
def test_bad_full_topics_are_refused_by_the_configuration(pattern: str) -> None:
    """A FullTopic that names no board, or holds a wildcard, is found when the configuration is checked."""
    with pytest.raises((ValueError, ConfigError)):
        DialectsSection(tasmota=(pattern,))
    assert DialectsSection(tasmota=("%topic%/%prefix%/",)).tasmota == ("%topic%/%prefix%/",)


def test_a_topic_of_several_levels() -> None:
    """Tasmota's topic may hold slashes: a configured address of that form is listened to."""
    source = TasmotaSource([Device("x", DeviceRole.CLIMATE, source="tasmota", address="house/attic/x")])
    assert "tele/house/attic/x/+" in source.filters()
    heard = _say(source, "tele/house/attic/x/SENSOR", {"DS18B20": {"Temperature": 20.5}})
    assert _said(heard) == {("x", "temperature"): 20.5}


def test_parts_of_one_board() -> None:
    """Each part of a message is its own device's, the rest the board's; only who is named there gave a sign of life."""
    source = TasmotaSource(DEVICES)
    heard = _say(
        source,
        "tele/shed/SENSOR",
        {
            "Time": "2026-01-01T00:00:00",
            "Switch1": "ON",
            "DS18B20-1": {"Id": "000003287CD8", "Temperature": 21.5},
            "DS18B20-2": {"Id": "000003287CD9", "Temperature": 59.0},
            "TempUnit": "F",
        },
    )
    assert _said(heard) == {
        ("door", "contact_open"): True,
        ("hall", "temperature"): pytest.approx(21.5 * 5 / 9 - 32 * 5 / 9),
        ("cellar", "temperature"): pytest.approx(15.0),
    }
    assert heard.alive == {"hall", "door", "cellar"}
    pressed = _say(source, "stat/shed/RESULT", {"Button2": {"Action": "SINGLE"}})
    assert _said(pressed) == {("help", "sos"): True}
    assert pressed.alive == {"help"}


def test_the_will_is_of_all_parts() -> None:
    """A board that is gone is gone with all that hangs on it."""
    source = TasmotaSource(DEVICES)
    assert dict(_say(source, "tele/shed/LWT", "Offline").online) == dict.fromkeys(
        ("hall", "door", "help", "cellar"), False
    )
    assert _say(source, "tele/shed/LWT", "Gone").online == ()


def test_a_second_sensor_is_counted() -> None:
    """Two thermometers of one device: the first is the room's, of the other it is counted that it was not taken."""
    source = TasmotaSource(DEVICES[:1])
    heard = _say(source, "tele/shed/SENSOR", {"BME280": {"Temperature": 21}, "DS18B20": {"Temperature": 55}})
    assert _said(heard) == {("hall", "temperature"): 21.0}
    assert source.counts["second_sensor"] == 1


def test_a_toggle_is_no_state() -> None:
    """A switch in toggle mode does not tell whether the door is open: counted, nothing is guessed."""
    source = TasmotaSource(DEVICES)
    heard = _say(source, "stat/shed/RESULT", {"Switch1": {"Action": "TOGGLE"}})
    assert heard.readings == ()
    assert heard.alive == {"door"}
    assert source.counts["no_state"] == 1


def test_a_board_announces_its_topics() -> None:
    """With another FullTopic than is configured: heard once it announced it, no more when it withdraws."""
    source = TasmotaSource(DEVICES)
    assert not source.wants("house/shed/tele/SENSOR")
    _say(source, "tasmota/discovery/AABBCCDDEEFF/config", ANNOUNCED, retained=True)
    assert {"house/shed/tele/+", "house/shed/stat/+"} < source.filters()
    body = {"DS18B20-2": {"Temperature": 12}}
    assert _said(_say(source, "house/shed/tele/SENSOR", body)) == {("cellar", "temperature"): 12.0}
    assert not source.wants("house/barn/tele/SENSOR")
    _say(source, "tasmota/discovery/AABBCCDDEEFF/config", "", retained=True)
    assert not source.wants("house/shed/tele/SENSOR")


def test_a_boards_own_words() -> None:
    """The words for on, off, online and offline, and the names of switches, are those that the board announced."""
    source = TasmotaSource(
        [
            Device("door", DeviceRole.CONTACT, source="tasmota", address="shed#Front door"),
            Device("x", DeviceRole.CLIMATE, source="tasmota", address="shed"),
        ]
    )
    own = {"state": ["ZU", "AUF", "WECHSEL"], "onln": "da", "ofln": "weg", "swn": ["Front door", None]}
    _say(source, "tasmota/discovery/AABBCCDDEEFF/config", ANNOUNCED | own)
    assert _said(_say(source, "house/shed/tele/SENSOR", {"Front door": "AUF"})) == {("door", "contact_open"): True}
    assert dict(_say(source, "house/shed/tele/LWT", "weg").online) == {"door": False, "x": False}
    assert _say(source, "house/shed/tele/LWT", "Offline").online == ()


def test_what_a_board_offers() -> None:
    """`anju-gateway devices` shows name, model and what a board measures, though it is not configured."""
    source = TasmotaSource([])
    _say(source, "tasmota/discovery/AABBCCDDEEFF/config", ANNOUNCED)
    _say(
        source,
        "tasmota/discovery/AABBCCDDEEFF/sensors",
        {"sn": {"Time": "x", "AM2301": {"Temperature": 20, "Humidity": None}, "ESP32": {"Temperature": 50}}, "ver": 1},
    )
    (seen,) = source.seen()
    assert (seen.address, seen.name, seen.model, seen.id) == ("shed", "Shed", "Tasmota ESP32", None)
    assert seen.metrics == {"temperature", "humidity"}
    assert source.filters() == {"stat/+/+", "tele/+/+", "tasmota/discovery/#"}


def test_kept_states_are_not_taken() -> None:
    """A sensor message that the broker has kept is no sign of life."""
    source = TasmotaSource(DEVICES)
    heard = _say(source, "tele/shed/SENSOR", {"DS18B20-2": {"Temperature": 12}}, retained=True)
    assert (heard.readings, heard.alive) == ((), frozenset())
    assert source.counts["retained"] == 1
