"""Whatever bytes stand on whatever topic: a dialect answers or refuses with a ProtocolError, and stays bounded."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.readings import Device, DeviceRole
from edge.sources.base import MOST_SEEN, Message
from edge.sources.build import build_sources
from edge.sources.homeassistant import HomeAssistantSource
from edge.sources.templates import Templates
from edge.sources.zigbee2mqtt import Zigbee2MqttSource
from protocols.errors import ProtocolError

NOW = 1_795_000_000.0
DEVICES = (
    Device("own", DeviceRole.MOTION),
    Device("z", DeviceRole.SOS, source="zigbee2mqtt", address="z"),
    Device("h", DeviceRole.CLIMATE, source="homeassistant", address="h"),
    Device("t", DeviceRole.CONTACT, source="tasmota", address="t"),
    Device("b", DeviceRole.BEACON, source="theengs", address="AABBCCDDEEFF"),
    Device("o", DeviceRole.GPS, source="owntracks", address="u/p"),
)
TOPICS = (
    "home/v1/own/senml",
    "home/v1/own/wave",
    "zigbee2mqtt/z",
    "zigbee2mqtt/z/availability",
    "zigbee2mqtt/bridge/devices",
    "zigbee2mqtt/bridge/state",
    "homeassistant/sensor/h/config",
    "homeassistant/device/h/config",
    "announced/state",
    "tele/t/SENSOR",
    "tele/t/STATE",
    "tele/t/LWT",
    "stat/t/RESULT",
    "home/r/BTtoMQTT/AABBCCDDEEFF",
    "owntracks/u/p",
    "owntracks/u/p/event",
    "owntracks/u",
    "elsewhere",
    "",
)
KEYS = st.one_of(
    st.sampled_from(["temperature", "occupancy", "contact", "sos", "action", "last_seen", "ieee_address", "exposes"]),
    st.sampled_from(["AM2301", "Switch1", "Button1", "Action", "Wifi", "Signal", "TempUnit", "tempc", "rssi", "unit"]),
    st.sampled_from(["_type", "tst", "lat", "lon", "acc", "desc", "inregions", "event", "state", "features", "type"]),
    st.sampled_from(["device", "dev", "ids", "~", "stat_t", "val_tpl", "exp_aft", "cmps", "p", "dev_cla", "avty", "t"]),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.sampled_from(["h", "location", "transition", "sensor", "announced/state", "~/x", "{{ value_json.x }}", "{{"]),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=20,
)
PAYLOADS = st.one_of(st.binary(max_size=64), TREES.map(lambda tree: json.dumps(tree).encode()))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(TOPICS), PAYLOADS, st.booleans(), st.booleans()), min_size=1, max_size=6))
def test_only_protocol_errors(messages: list[tuple[str, bytes, bool, bool]]) -> None:
    """Never another exception, and what is taken is a reading of a configured device."""
    sources = build_sources(DEVICES, every=True)
    sources.read(
        Message(
            "homeassistant/sensor/x/config",
            b'{"stat_t":"announced/state","val_tpl":"{{ value_json.temperature }}","dev_cla":"temperature",'
            b'"dev":{"ids":"h"}}',
            NOW,
        )
    )
    for topic, payload, retained, trusted in messages:
        try:
            heard = sources.read(Message(topic, payload, NOW, retained, trusted))
        except ProtocolError:
            continue
        assert {r.device for r in heard.readings} <= {d.id for d in DEVICES}


@pytest.mark.parametrize("topic", TOPICS[:-2])
@pytest.mark.parametrize(
    "payload", [b"[" * 100_000, b'{"a":' * 40 + b"1" + b"}" * 40, b'{"temperature":NaN}', b"x" * 5_000_000]
)
def test_hostile_payloads_are_refused(topic: str, payload: bytes) -> None:
    """Deep nesting, NaN and huge messages are refused, or are of no concern; the next good message is taken."""
    sources = build_sources(DEVICES, every=True)
    try:
        assert not sources.read(Message(topic, payload, NOW)).readings
    except ProtocolError:
        pass
    good = sources.read(Message("zigbee2mqtt/z", b'{"action":"single"}', NOW))
    assert [(r.metric, r.value) for r in good.readings] == [("sos", True)]


def test_a_flood_of_devices_is_bounded() -> None:
    """A hundred thousand invented devices cost a bounded table, and the configured one still speaks."""
    zigbee = Zigbee2MqttSource(DEVICES)
    many = [{"ieee_address": f"0x{i:016x}", "friendly_name": f"d{i}", "type": "Router"} for i in range(20_000)]
    zigbee.read(Message("zigbee2mqtt/bridge/devices", json.dumps(many).encode(), NOW))
    assert len(list(zigbee.seen())) == MOST_SEEN
    assert zigbee.counts["unseen"] == 20_000 - MOST_SEEN
    house = HomeAssistantSource(DEVICES)
    for i in range(2_000):
        house.read(Message(f"homeassistant/sensor/s{i}/config", b'{"stat_t":"s/%d","dev":{"ids":"q%d"}}' % (i, i), NOW))
    assert len(list(house.seen())) == MOST_SEEN
    assert house.filters() == {"homeassistant/#"}


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in 'aaaaaaaa' %}{% for b in 'aaaaaaaa' %}x{% endfor %}{% endfor %}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ value.__class__.__mro__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum() }}",
        "{% set a = 'x' %}{{ a }}",
        "{{ value | center(1000000000) }}",
        "{{ nothing.here }}",
        "{{",
        "{{ 1 }}" * 1_000,
    ],
)
def test_hostile_templates_are_refused(template: str) -> None:
    """What could run long, grow large or reach out of the sandbox is refused before or while it is rendered."""
    with pytest.raises(ProtocolError):
        Templates().render(template, "1", "here")


def test_usual_templates() -> None:
    """Templates as discovery messages have them."""
    render = Templates().render
    assert render("{{ value_json.t | float | round(1) }}", '{"t": "21.37"}', "x") == "21.4"
    assert render("{{ 'ON' if value_json['a']['b'] == 1 else 'OFF' }}", '{"a":{"b":1}}', "x") == "ON"
    assert render("{{ value.split(',')[1] }}", "1,2", "x") == "2"
    assert render("{{ value_json.x | default('none') }}", "{}", "x") == "none"
