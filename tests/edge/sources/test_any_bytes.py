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
from edge.sources.tasmota import MAX_BOARDS
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
    "homeassistant/event/h/config",
    "homeassistant/device_tracker/h/config",
    "homeassistant/device_automation/h/config",
    "announced/state",
    "tele/t/SENSOR",
    "tele/t/STATE",
    "tele/t/LWT",
    "stat/t/RESULT",
    "stat/t/BUTTON1",
    "stat/t/STATUS10",
    "tasmota/discovery/AABBCCDDEE00/config",
    "tasmota/discovery/AABBCCDDEE00/sensors",
    "home/r/BTtoMQTT/AABBCCDDEEFF",
    "home/presence/r",
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
    st.sampled_from(["ft", "tp", "sn", "swn", "dn", "StatusSNS", "ACTION", "DS18B20-1", "Id", "event_type", "evt_typ"]),
    st.sampled_from(["id", "uuid", "major", "button", "packet", "encr", "weight", "weighing_mode", "off_dly", "o"]),
    st.sampled_from(["avty_mode", "json_attr_t", "latitude", "gps_accuracy", "status", "pressure", "illuminance_lux"]),
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
        "{{ 5 | round(-1000000000) }}",
        "{{ 1 | round(1000000000, 'ceil') }}",
        "{{ 99999999999999999 * 9 }}",
        "{{ value_json * value_json }}",
        "{{ value | replace('', 'x' * 9) }}",
        "{{ value" + " | tojson" * 140 + " }}",
        "{{ value" + "+1" * 400 + " }}",
        "{{ value" + "+1" * 30 + " }}",
        "{{ value" + " | upper | lower" * 40 + " }}",
        "{{ " + "'a' ~ " * 130 + "'a' }}",
        "{{ " + "(" * 400 + "1" + ")" * 400 + " }}",
        "{{ range(1000000000) | list }}",
        "{{ value.encode() }}",
        "{{ namespace() }}",
        "{% if true %}{% for a in value %}x{% endfor %}{% endif %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% include 'x' %}",
        "{{",
        "{{ 1 }}" * 1_000,
    ],
)
def test_hostile_templates_are_refused(template: str) -> None:
    """What could run long, grow large or reach out of the sandbox is refused before or while it is rendered."""
    with pytest.raises(ProtocolError):
        Templates().render(template, '"x"', "here")


def test_templates_do_not_grow() -> None:
    """Of a long message no template makes a longer one without end."""
    payload = json.dumps("x" * 16_000)
    for template in ("{{ value | replace('x', value) }}", "{{ value | tojson | tojson | tojson }}", "{{ value }}"):
        with pytest.raises(ProtocolError):
            Templates().render(template, payload, "here")
    with pytest.raises(ProtocolError, match="characters for a template"):
        Templates().render("{{ value | length }}", payload * 2, "here")


def test_usual_templates() -> None:
    """Templates as discovery messages have them."""
    render = Templates().render
    assert render("{{ value_json.t | float | round(1) }}", '{"t": "21.37"}', "x") == "21.4"
    assert render("{{ 'ON' if value_json['a']['b'] == 1 else 'OFF' }}", '{"a":{"b":1}}', "x") == "ON"
    assert render("{{ value.split(',')[1] }}", "1,2", "x") == "2"
    assert render("{{ value_json.x | default('none') }}", "{}", "x") == "none"
    assert render("{{ value_json.t * 0.1 }}", '{"t": 215}', "x") == "21.5"
    assert render("{{ float(value_json.t) }}", '{"t": "21.5"}', "x") == "21.5"
    assert render("{% if value_json.a %}ON{% else %}OFF{% endif %}", '{"a": 0}', "x") == "OFF"
    assert render("{{ value_json.a | replace('-', '_') | upper }}", '{"a": "on-hold"}', "x") == "ON_HOLD"
    assert render("{{ value_json.t" + " | float" * 15 + " }}", '{"t": 2}', "x") == "2.0"
    assert render("{{ iif(value_json.a, 'ON', 'OFF') }}", '{"a": true}', "x") == "ON"


@pytest.mark.parametrize("template", ["{{ nothing.here }}", "{{ value_json.b.c }}", "{{ value_json.b | is_defined }}"])
def test_what_a_message_does_not_mention_is_nothing(template: str) -> None:
    """A message without the field says nothing of it; that is no error."""
    assert Templates().render(template, '{"a": 1}', "here") == ""


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"t": "t"},
        {"t": "t", "tp": ["cmnd"]},
        {"t": 5, "tp": ["cmnd", "stat", "tele"]},
        {"t": "#", "tp": ["cmnd", "stat", "tele"]},
        {"t": "t", "tp": ["cmnd", "+", "tele"]},
        {"t": "t", "tp": ["cmnd", "stat", "tele"], "ft": "%topic%/"},
        {"t": "t", "tp": ["cmnd", "stat", "tele"], "ft": "%prefix%/%prefix%/%topic%"},
        {"t": "t", "tp": ["cmnd", "stat", "tele"], "ft": "%prefix%/#/%topic%"},
        {"t": "t", "tp": ["cmnd", "stat", "tele"], "ft": "%prefix%/%topic%/" + "x" * 300},
    ],
)
def test_bad_announcements_are_refused(body: object) -> None:
    """A board that announces wildcards or nonsense is refused, and subscribes the gateway to nothing more."""
    sources = build_sources(DEVICES, every=True)
    before = sources.filters()
    with pytest.raises(ProtocolError):
        sources.read(Message("tasmota/discovery/AABBCCDDEE00/config", json.dumps(body).encode(), NOW))
    assert sources.filters() == before


def test_a_flood_of_boards_is_bounded() -> None:
    """Boards that all claim one topic cost a bounded table."""
    sources = build_sources(DEVICES, every=True)
    before = len(sources.filters())
    for i in range(2_000):
        body = {"t": "t", "ft": f"%prefix%/{i}/%topic%/", "tp": ["cmnd", "stat", "tele"]}
        sources.read(Message(f"tasmota/discovery/{i:012X}/config", json.dumps(body).encode(), NOW))
    assert len(sources.filters()) - before == 2 * MAX_BOARDS
