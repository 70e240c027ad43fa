"""What Home Assistant discovery says of time and presence: off_delay, expire_after, availability, presses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge.readings import Device, DeviceRole, Reading
from edge.sources.base import Heard, Message
from edge.sources.build import build_sources
from edge.sources.homeassistant import MAX_ENTITIES, SAME_PRESS_S, HomeAssistantSource
from protocols.errors import ProtocolError

NOW = 1_795_000_000.0
DEVICES = (
    Device("pir", DeviceRole.MOTION, source="homeassistant", address="pir-1"),
    Device("bell", DeviceRole.SOS, source="homeassistant", address="bell-1"),
    Device("phone", DeviceRole.GPS, source="homeassistant", address="phone-1"),
)


class House:
    """A source and what is said to it."""

    def __init__(self) -> None:
        self.source = HomeAssistantSource(DEVICES)

    def announce(self, place: str, body: dict[str, Any] | None, device: str = "pir-1") -> None:
        """A config message, or its removal."""
        payload = b"" if body is None else json.dumps({"dev": {"ids": [device]}, **body}).encode()
        self.source.read(Message(f"homeassistant/{place}/config", payload, NOW, retained=True))

    def say(self, topic: str, payload: str, at: float = NOW, retained: bool = False) -> Heard:
        """A state."""
        return self.source.read(Message(topic, payload.encode(), at, retained))


PIR = {"stat_t": "pir", "dev_cla": "motion", "off_dly": 30}


def _said(readings: list[Reading] | tuple[Reading, ...]) -> list[tuple[str, object, float]]:
    return [(r.metric, r.value, r.at) for r in readings]


def test_off_delay_ends_a_movement() -> None:
    """A sensor that sends only `ON` is off after its delay, which each new `ON` begins again; said once."""
    house = House()
    house.announce("binary_sensor/pir", PIR)
    assert _said(house.say("pir", "ON").readings) == [("motion", True, NOW)]
    house.say("pir", "ON", NOW + 20)
    assert house.source.due(NOW + 49) == []
    assert _said(house.source.due(NOW + 50.2)) == [("motion", False, NOW + 50.2)]
    assert house.source.due(NOW + 60) == []


def test_off_delay_is_over_when_the_device_says_so_or_is_gone() -> None:
    """`OFF` is taken as said; a kept `ON` starts nothing, and of an entity that is removed nothing follows."""
    house = House()
    house.announce("binary_sensor/pir", PIR)
    house.say("pir", "ON")
    assert _said(house.say("pir", "OFF", NOW + 5).readings) == [("motion", False, NOW + 5)]
    house.say("pir", "ON", NOW + 6, retained=True)
    assert house.source.due(NOW + 100) == []
    house.say("pir", "ON", NOW + 200)
    house.announce("binary_sensor/pir", None)
    assert house.source.due(NOW + 300) == []
    assert house.source.filters() == {"homeassistant/#"}


def test_off_delay_survives_a_clock_set_back() -> None:
    """A clock that was set back does not leave a movement on for as long as it was wrong."""
    house = House()
    house.announce("binary_sensor/pir", PIR)
    house.say("pir", "ON")
    assert _said(house.source.due(NOW - 3_600)) == [("motion", False, NOW - 3_600)]


def test_due_comes_through_all_dialects() -> None:
    """The gateway asks the dialects together."""
    sources = build_sources(DEVICES)
    sources.read(
        Message("homeassistant/binary_sensor/p/config", json.dumps(PIR | {"dev": {"ids": "pir-1"}}).encode(), NOW)
    )
    sources.read(Message("pir", b"ON", NOW))
    assert [(r.device, r.metric, r.value) for r in sources.due(NOW + 31)] == [("pir", "motion", False)]


@pytest.mark.parametrize(
    ("mode", "said", "expected"),
    [
        ("all", [("one", "online")], [None]),
        ("all", [("one", "online"), ("two", "up")], [None, True]),
        ("all", [("one", "online"), ("two", "up"), ("one", "offline"), ("one", "online")], [None, True, False, True]),
        ("all", [("two", "down")], [False]),
        ("any", [("one", "offline"), ("two", "up")], [None, True]),
        ("any", [("two", "up"), ("one", "offline"), ("two", "down")], [True, True, False]),
        ("latest", [("one", "online"), ("two", "down"), ("one", "online")], [True, False, True]),
        ("latest", [("one", "perhaps"), ("two", "online")], [None, None]),
    ],
)
def test_availability_modes(mode: str, said: list[tuple[str, str]], expected: list[bool | None]) -> None:
    """A device with several topics is there by all, any or the latest of them; other words say nothing."""
    house = House()
    places = [{"t": "one"}, {"t": "two", "pl_avail": "up", "pl_not_avail": "down"}]
    house.announce("binary_sensor/pir", {"stat_t": "pir", "dev_cla": "motion", "avty": places, "avty_mode": mode})
    heard = [house.say(topic, word, retained=True) for topic, word in said]
    assert [dict(h.online).get("pir") for h in heard] == expected
    assert all(not h.alive and not h.readings for h in heard)


def test_a_bridge_that_is_there_does_not_bring_back_a_device() -> None:
    """Zigbee2MQTT's form: the bridge's state and the device's own, both needed; the device's many entities agree."""
    house = House()
    places = [{"topic": "z/bridge/state", "value_template": "{{ value_json.state }}"}, {"topic": "z/pir/availability"}]
    for name in ("occupancy", "battery"):
        house.announce(
            f"sensor/0x1/{name}", {"stat_t": "z/pir", "dev_cla": "battery", "availability": places, "avty_mode": "all"}
        )
    house.say("z/pir/availability", "offline")
    assert house.say("z/bridge/state", '{"state": "online"}').online == (("pir", False),)
    assert house.say("z/pir/availability", "online").online == (("pir", True),)


def test_expire_after_is_the_interval() -> None:
    """A third of the longest time after which an entity of the device expires: three of these are its silence."""
    house = House()
    house.announce("sensor/a", {"stat_t": "a", "dev_cla": "temperature", "exp_aft": 600})
    house.announce("sensor/b", {"stat_t": "b", "dev_cla": "battery", "exp_aft": "90000"})
    (seen,) = [s for s in house.source.seen() if s.id == "pir"]
    assert seen.interval_s == 30_000
    assert seen.metrics == {"temperature", "battery"}


def test_one_press_announced_twice_is_one() -> None:
    """A button announced as event and as trigger is pressed once; pressed again, or much later, it is again."""
    house = House()
    house.announce("event/bell", {"stat_t": "b/event", "evt_typ": ["press"]}, "bell-1")
    house.announce(
        "device_automation/bell",
        {"atype": "trigger", "t": "b/trigger", "type": "button_short_press", "stype": "button_1"},
        "bell-1",
    )
    event, trigger = ("b/event", '{"event_type": "press"}'), ("b/trigger", "x")
    assert _said(house.say(*event).readings) == [("sos", True, NOW)]
    assert house.say(*trigger, NOW + 0.1).readings == ()
    assert house.source.counts["repeated"] == 1
    assert len(house.say(*trigger, NOW + 0.5).readings) == 1
    assert len(house.say(*event, NOW + 0.5 + SAME_PRESS_S).readings) == 1


def test_a_kept_press_is_none() -> None:
    """An event that the broker has kept happened at some time; nobody presses now."""
    house = House()
    house.announce("event/bell", {"stat_t": "b/event", "evt_typ": ["press"]}, "bell-1")
    heard = house.say("b/event", '{"event_type": "press"}', retained=True)
    assert (heard.readings, heard.alive) == ((), frozenset())
    assert house.source.counts["retained"] == 1


def test_a_type_that_was_not_announced_is_counted() -> None:
    """An event of another type presses nothing."""
    house = House()
    house.announce("event/bell", {"stat_t": "b/event", "evt_typ": ["press"]}, "bell-1")
    assert house.say("b/event", '{"event_type": "firmware"}').readings == ()
    assert house.source.counts["unknown_event"] == 1


def test_a_fall_that_stays_is_one() -> None:
    """A radar repeats its state: one fall, until it says that there is none."""
    house = House()
    house.announce("binary_sensor/falling_information", {"stat_t": "fall"})
    assert [len(house.say("fall", word).readings) for word in ("ON", "ON", "OFF", "ON")] == [1, 0, 1, 1]


def test_half_a_position_is_none() -> None:
    """A latitude without a longitude says nothing of where the phone is; its battery still counts."""
    house = House()
    house.announce("device_tracker/phone", {"stat_t": "p", "json_attr_t": "p/attributes"}, "phone-1")
    whole = {"latitude": 22.54, "longitude": 114.05, "gps_accuracy": 12, "battery_level": 80}
    assert {r.metric for r in house.say("p/attributes", json.dumps(whole)).readings} == {
        "lat",
        "lon",
        "accuracy",
        "battery",
    }
    heard = house.say("p/attributes", json.dumps(whole | {"longitude": "east"}))
    assert ([r.metric for r in heard.readings], [e.reason for e in heard.refused]) == (["battery"], ["wrong_type"])


@pytest.mark.parametrize(
    ("unit", "value"),
    [("ppm", "300"), ("mg/m³", "349.3"), ("mg/m3", "349.3"), ("µg/m³", "349300"), ("\u03bcg/m³", "349300")],
)
def test_carbon_monoxide_in_any_of_its_units(unit: str, value: str) -> None:
    """Home Assistant lets this class of sensor speak in each: 300 ppm must not be refused for its unit."""
    house = House()
    house.announce("sensor/air/co", {"stat_t": "air", "dev_cla": "carbon_monoxide", "unit_of_meas": unit})
    (said,) = house.say("air", value).readings
    assert said.metric == "co_ppm"
    assert said.value == pytest.approx(300, abs=0.1)


def test_one_wrong_entity_costs_its_neighbours_nothing() -> None:
    """Of two values in one message one is impossible: it is refused by name, the other is taken."""
    house = House()
    for name, unit in (("temperature", "°C"), ("humidity", "%")):
        house.announce(
            f"sensor/{name}",
            {"stat_t": "s", "dev_cla": name, "unit_of_meas": unit, "val_tpl": f"{{{{ value_json.{name} }}}}"},
        )
    heard = house.say("s", '{"temperature": 900, "humidity": 40}')
    assert _said(heard.readings) == [("humidity", 40.0, NOW)]
    assert [(e.reason, e.where) for e in heard.refused] == [("out_of_range", "homeassistant.pir.temperature")]
    assert heard.alive == {"pir"}


def test_announced_anew_replaces() -> None:
    """A device whose topics changed is read at the new ones only; one message replaces all that it announced."""
    house = House()
    cmps = {name: {"p": "sensor", "dev_cla": name, "stat_t": f"old/{name}"} for name in ("temperature", "battery")}
    house.announce("device/d", {"o": {"name": "x"}, "cmps": cmps})
    assert {"old/temperature", "old/battery"} < house.source.filters()
    house.announce("device/d", {"o": {"name": "x"}, "cmps": {"t": cmps["temperature"] | {"stat_t": "new"}}})
    assert house.source.filters() == {"homeassistant/#", "new"}


def test_entities_are_bounded() -> None:
    """A configured device that announces without end is refused beyond the limit; what it had still works."""
    house = House()
    for i in range(MAX_ENTITIES):
        house.announce(f"sensor/s{i}", {"stat_t": f"s/{i}", "dev_cla": "battery"})
    with pytest.raises(ProtocolError, match=str(MAX_ENTITIES)):
        house.announce("sensor/more", {"stat_t": "more", "dev_cla": "battery"})
    assert "more" not in house.source.filters()
    assert [r.value for r in house.say("s/0", "50").readings] == [50.0]


@pytest.mark.parametrize(
    ("place", "body"),
    [
        ("device/d", {"cmps": 5}),
        ("device/d", {}),
        ("sensor/a/b/c", {}),
        ("sensor", {}),
    ],
)
def test_bad_announcements_are_refused(place: str, body: dict[str, Any]) -> None:
    """A message that is no announcement is refused by name."""
    house = House()
    with pytest.raises(ProtocolError) as caught:
        house.announce(place, body)
    assert caught.value.where
    assert house.source.filters() == {"homeassistant/#"}


@pytest.mark.parametrize(
    "body",
    [
        {"stat_t": "#", "dev_cla": "battery"},
        {"stat_t": "a/+/b", "dev_cla": "battery"},
        {"stat_t": "x" * 1_000, "dev_cla": "battery"},
        {"stat_t": 5, "dev_cla": "battery"},
        {"~": "#", "stat_t": "~/b", "dev_cla": "battery"},
        {"avty": [{"t": "+/x"}], "dev_cla": "battery"},
        {"avty": 7, "exp_aft": {}, "off_dly": [], "evt_typ": "press", "json_attr_t": None},
    ],
)
def test_no_stranger_makes_us_subscribe_to_everything(body: dict[str, Any]) -> None:
    """Wildcards and nonsense in the place of a topic are no topic."""
    house = House()
    house.announce("binary_sensor/pir", body)
    assert house.source.filters() == {"homeassistant/#"}
