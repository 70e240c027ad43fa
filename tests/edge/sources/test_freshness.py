"""A kept or repeated message makes no device look alive and raises nothing twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from edge.readings import Device, DeviceRole
from edge.sources.base import Message
from edge.sources.owntracks import OwnTracksSource
from edge.sources.presence import BeaconRoom
from edge.sources.zigbee2mqtt import Zigbee2MqttSource

NOW = 1_795_000_000.0
DEVICES = (
    Device("pir", DeviceRole.MOTION, source="zigbee2mqtt", address="pir"),
    Device("sos", DeviceRole.SOS, source="zigbee2mqtt", address="0x01"),
    Device("phone", DeviceRole.GPS, source="owntracks", address="lan/phone"),
)


def _say(topic: str, body: dict[str, Any] | str, at: float = NOW, retained: bool = False) -> Message:
    return Message(f"zigbee2mqtt/{topic}", (body if isinstance(body, str) else json.dumps(body)).encode(), at, retained)


def test_retained_state_is_no_sign_of_life() -> None:
    """Pitfall 9: from a retained state nothing is taken but measured values with the radio's own time stamp."""
    source = Zigbee2MqttSource(DEVICES)
    heard = source.read(_say("pir", {"occupancy": True, "temperature": 21}, retained=True))
    assert heard.readings == ()
    assert heard.alive == frozenset()
    stamp = datetime.fromtimestamp(NOW - 3600, UTC).isoformat()
    heard = source.read(_say("pir", {"occupancy": True, "temperature": 22, "last_seen": stamp}, retained=True))
    assert [(r.metric, r.at) for r in heard.readings] == [("temperature", NOW - 3600)]
    assert heard.alive == frozenset()


def test_cached_attributes_are_not_repeated() -> None:
    """The bridge repeats its cache with every message: only what changed is news, so motion is not seen again."""
    source = Zigbee2MqttSource(DEVICES)
    source.read(_say("pir", {"occupancy": True, "battery": 90}))
    heard = source.read(_say("pir", {"occupancy": True, "battery": 89}, NOW + 600))
    assert [(r.metric, r.value) for r in heard.readings] == [("battery", 89.0)]
    assert heard.alive == {"pir"}
    again = source.read(_say("pir", {"occupancy": True, "battery": 89}, NOW + 700))
    assert ("motion", True) in [(r.metric, r.value) for r in again.readings]


def test_repeated_happening_does_not_raise_again() -> None:
    """An SOS that stays in the cached state is one SOS; a button's action is one each time."""
    source = Zigbee2MqttSource(DEVICES)
    source.read(_say("bridge/devices", json.dumps([{"ieee_address": "0x01", "friendly_name": "Help button"}])))
    first = source.read(_say("Help button", {"sos": True, "battery": 90}))
    assert [r.metric for r in first.readings if r.value is True] == ["sos"]
    for later in ({"sos": True, "battery": 89}, {"sos": True, "battery": 89}):
        assert "sos" not in [r.metric for r in source.read(_say("Help button", later, NOW + 900)).readings]
    for _ in range(2):
        pressed = source.read(_say("Help button", {"action": "single", "battery": 89}, NOW + 950))
        assert [(r.device, r.metric) for r in pressed.readings] == [("sos", "sos")]


def test_cache_sent_at_the_bridges_start() -> None:
    """After its start the bridge publishes what it has cached: no sign of life, but a fire is not overlooked."""
    source = Zigbee2MqttSource(DEVICES)
    source.read(_say("bridge/state", {"state": "online"}))
    heard = source.read(_say("pir", {"occupancy": True, "smoke": True}, NOW + 2))
    assert [(r.metric, r.value) for r in heard.readings] == [("smoke", True)]
    assert heard.alive == frozenset()
    assert source.read(_say("pir", {"occupancy": True, "smoke": True}, NOW + 60)).alive == {"pir"}


def test_same_last_seen_is_not_fresh() -> None:
    """A state sent again with the time at which the radio heard it before is a repetition."""
    source = Zigbee2MqttSource(DEVICES)
    state = {"occupancy": True, "last_seen": int((NOW - 5) * 1000)}
    assert source.read(_say("pir", state)).alive == {"pir"}
    again = source.read(_say("pir", state, NOW + 300))
    assert (again.readings, again.alive) == ((), frozenset())
    assert source.counts["repeated"] == 1


def test_repeated_and_retained_fixes() -> None:
    """A phone's fix counts once; kept by the broker it tells where it was, not that the phone lives."""
    source = OwnTracksSource(DEVICES)
    fix = json.dumps({"_type": "location", "lat": 22.54, "lon": 114.05, "acc": 12, "tst": int(NOW - 60)}).encode()
    kept = source.read(Message("owntracks/lan/phone", fix, NOW, True))
    assert [r.at for r in kept.readings] == [NOW - 60] * 3
    assert kept.alive == frozenset()
    again = source.read(Message("owntracks/lan/phone", fix, NOW + 1))
    assert (again.readings, again.alive) == ((), frozenset())


def test_beacon_changes_room_slowly() -> None:
    """A beacon moves only when another room is clearly louder for a while; flicker at the door moves nobody."""
    room = BeaconRoom()
    assert room.heard("bedroom", -60, 0) == "bedroom"
    moves = [room.heard("kitchen" if i % 2 else "bedroom", -62 - (i % 3), float(i)) for i in range(1, 60)]
    assert moves == [None] * 59
    moved = [
        m for i in range(60, 120, 2) for m in (room.heard("bedroom", -85, i), room.heard("kitchen", -55, i + 1)) if m
    ]
    assert moved == ["kitchen"]
