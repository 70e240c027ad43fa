"""The command `anju-gateway devices` against a real broker, and the draft it writes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge.cli import main
from edge.config import load
from edge.devices.draft import draft
from edge.devices.outputs import Announced, draft_outputs
from edge.sources.base import Seen
from tests.support.mosquitto import mosquitto

_CONFIG = """
[gateway]
id = "gw-1"
[home_broker]
port = {port}
[cloud_broker]
host = "127.0.0.1"
[[devices]]
id = "hall-door"
role = "contact"
source = "zigbee2mqtt"
address = "0x01"
"""
_BRIDGE: list[dict[str, object]] = [
    {
        "ieee_address": address,
        "friendly_name": name,
        "type": "EndDevice",
        "power_source": "Battery",
        "definition": {"vendor": "Aqara", "model": model, "exposes": [{"type": "binary", "property": offers}]},
    }
    for address, name, model, offers in (
        ("0x01", "hall", "MCCGQ11LM", "contact"),
        ("0x02", 'Bad "name"\n[x]', "RTCGQ11LM", "occupancy"),
        ("0x03", "lamp", "LED1", "brightness"),
    )
]
_SOS = {"type": "enum", "property": "action", "values": ["emergency"]}
_BRIDGE.append(
    {
        "ieee_address": "0x04",
        "friendly_name": "sos",
        "type": "EndDevice",
        "power_source": "Battery",
        "definition": {"vendor": "TuYa", "model": "TS0215A_sos", "exposes": [_SOS]},
    }
)


def test_discover_writes_a_draft(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is configured is named, what is not is unknown; the draft, pasted into the file, is a good configuration."""
    with mosquitto() as port:
        bridge = mqtt.Client(CallbackAPIVersion.VERSION2)
        bridge.connect("127.0.0.1", port)
        bridge.loop_start()
        bridge.publish("zigbee2mqtt/bridge/devices", json.dumps(_BRIDGE), 1, retain=True).wait_for_publish(5)
        bridge.disconnect()
        bridge.loop_stop()
        path = tmp_path / "gateway.toml"
        path.write_text(_CONFIG.format(port=port))
        assert main(["devices", "--config", str(path), "--seconds", "1"]) == 0
        listed = capsys.readouterr().out
        assert main(["devices", "--config", str(path), "--discover", "--seconds", "1"]) == 0
        written = capsys.readouterr().out
    assert [line.split()[0] for line in listed.splitlines()] == ["hall-door", "unknown", "unknown", "unknown"]
    path.write_text(path.read_text() + written)
    (_, added, button) = load(path).devices
    assert (button.role, button.address) == ("button", "0x04")
    assert (added.role, added.source, added.address) == ("motion", "zigbee2mqtt", "0x02")
    assert '# address = "0x03"' in written


def test_no_broker_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 and a line that names the broker."""
    path = tmp_path / "gateway.toml"
    path.write_text(_CONFIG.format(port=1))
    assert main(["devices", "--config", str(path), "--seconds", "1"]) == 1
    assert "127.0.0.1:1" in capsys.readouterr().err


def test_draft_of_hostile_names() -> None:
    """Whatever a device calls itself, the draft is TOML, and names are different from each other."""
    seen = [Seen("theengs", f'A"\\\x7f\n{i}', "x\n[[devices]]", "m\r", frozenset({"smoke"})) for i in range(3)]
    devices = tomllib.loads(draft(seen))["devices"]
    assert len({d["id"] for d in devices}) == 3


def test_a_radar_is_drafted_as_one() -> None:
    """A radar that tells presence from motion is a presence sensor, not a motion detector."""
    (device,) = tomllib.loads(draft([Seen("zigbee2mqtt", "0x1", "radar", "m", frozenset({"motion", "presence"}))]))[
        "devices"
    ]
    assert device["role"] == "presence"


def test_what_takes_commands_becomes_outputs() -> None:
    """Both forms of discovery, abbreviations and the base topic; a switch is a comment, what is known is left out, and
    whatever is no announcement costs nothing.
    """
    device = {"dev": {"ids": ["x"], "name": "Hall"}, "o": {"name": "esp"}}
    parts = {
        "a": {"p": "light", "schema": "json", "cmd_t": "hall/lamp/set"},
        "b": {"p": "notify", "command_topic": "hall/say"},
        "c": {"p": "switch", "command_topic": "hall/plug/set"},
        "d": {"p": "sensor", "state_topic": "hall/t"},
        "e": {"p": "siren", "command_topic": "hall/known/set"},
    }
    announced = [
        Announced("homeassistant/device/x/config", json.dumps(device | {"cmps": parts}).encode()),
        Announced("homeassistant/siren/n/y/config", b'{"~": "bell", "cmd_t": "~/set", "pl_on": "RING"}'),
        *(Announced("homeassistant/light/z/config", bad) for bad in (b"", b"[]", b"{}", b"\xff", b"[" * 9_000)),
    ]
    written = draft_outputs("homeassistant", announced, frozenset({"hall/known/set"}))
    outputs = tomllib.loads(written)["alarms"]["outputs"]
    assert [(o["name"], o["kind"], o.get("on")) for o in outputs] == [
        ("bell/set", "siren", "RING"),
        ("hall/lamp/set", "lamp", '{"state": "ON"}'),
        ("hall/say", "speaker", None),
    ]
    assert '# name = "hall/plug/set"' in written
