"""Bluetooth: the same advertisement is heard many times, by several receivers; a beacon is where it is loudest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge.readings import Device, DeviceRole
from edge.sources.base import Heard, Message
from edge.sources.theengs import WEIGHED_ONCE_S, TheengsSource

NOW = 1_795_000_000.0
UUID = "fda50693-a4e2-4fb1-afcf-c6eb07647825"
DEVICES = (
    Device("button", DeviceRole.SOS, source="theengs", address="11:22:33:44:55:66"),
    Device("scale", DeviceRole.SCALE, source="theengs", address="AABBCCDDEEFF"),
    Device("tag", DeviceRole.BEACON, source="theengs", address=f"{UUID}-1-2"),
    Device("thermo", DeviceRole.CLIMATE, source="theengs", address="A4:C1:38:00:00:01"),
)


def _source() -> TheengsSource:
    return TheengsSource(DEVICES, "home", {"OMG_bed": "bedroom", "OMG_kitchen": "kitchen"})


def _say(source: TheengsSource, topic: str, body: dict[str, Any], at: float = NOW, retained: bool = False) -> Heard:
    return source.read(Message(f"home/{topic}", json.dumps(body).encode(), at, retained))


def test_one_press_heard_by_two_receivers_is_one() -> None:
    """A press is advertised again and again with the same packet number; the next press has another."""
    source = _source()
    press = {"id": "11:22:33:44:55:66", "model_id": "SBBT-002C", "packet": 7, "button": 1, "batt": 100}
    heard = [
        _say(source, f"{receiver}/BTtoMQTT/112233445566", press, NOW + i / 10)
        for i, receiver in enumerate(["OMG_bed", "OMG_kitchen", "OMG_bed", "OMG_kitchen"])
    ]
    assert [[r.metric for r in h.readings].count("sos") for h in heard] == [1, 0, 0, 0]
    assert source.counts["repeated"] == 3
    again = _say(source, "OMG_bed/BTtoMQTT/112233445566", press | {"packet": 8}, NOW + 1)
    assert "sos" in [r.metric for r in again.readings]


def test_an_encrypted_advertisement_is_counted() -> None:
    """A device that encrypts, without its key: alive, no values, and the count tells the installer why."""
    source = _source()
    body = {"id": "A4:C1:38:00:00:01", "model_id": "LYWSD03MMC_ENCR", "encr": 1, "cipher": "00112233", "ctr": "1"}
    heard = _say(source, "OMG_bed/BTtoMQTT/A4C138000001", body)
    assert heard.readings == ()
    assert heard.alive == {"thermo"}
    assert source.counts["encrypted"] == 1


@pytest.mark.parametrize("channel", ["presence/OMG_bed", "OMG_bed/BTtoMQTT/FDA50693A4E24FB1AFCFC6EB07647825"])
def test_a_beacon_by_its_uuid_and_numbers(channel: str) -> None:
    """An iBeacon's address on the air changes; its UUID and numbers do not, and tell it from its neighbours."""
    source = _source()
    body = {"id": "5A:00:00:00:00:01", "uuid": UUID, "major": 1, "minor": 2, "rssi": -60}
    assert ("room", "bedroom") in [(r.metric, r.value) for r in _say(source, channel, body).readings]
    assert _say(source, channel, body | {"minor": 3}).readings == ()


def test_a_bad_strength_costs_only_itself() -> None:
    """A radio strength that is none is refused by name; the battery in the same message is taken."""
    source = _source()
    body = {"id": "x", "uuid": UUID, "major": 1, "minor": 2, "rssi": "loud", "batt": 80}
    heard = _say(source, "presence/OMG_bed", body)
    assert [(r.metric, r.value) for r in heard.readings] == [("battery", 80.0)]
    assert [e.reason for e in heard.refused] == ["wrong_type"]


def test_a_result_that_stands_is_weighed_once() -> None:
    """A scale advertises its last result while somebody stands nearby: the same value is one measurement."""
    source = _source()
    body = {"id": "AA:BB:CC:DD:EE:FF", "model_id": "XMTZC05HM", "weight": 60.5, "unit": "kg", "weighing_mode": "person"}
    topic = "OMG_bed/BTtoMQTT/AABBCCDDEEFF"
    said = [len(_say(source, topic, body, NOW + i * (WEIGHED_ONCE_S - 1)).readings) for i in range(4)]
    assert said == [1, 0, 0, 0]
    later = _say(source, topic, body, NOW + 3 * (WEIGHED_ONCE_S - 1) + WEIGHED_ONCE_S)
    assert [r.value for r in later.readings] == [60.5]


def test_a_kept_advertisement_is_no_sign_of_life() -> None:
    """What the broker kept was heard at some time."""
    source = _source()
    heard = _say(source, "OMG_bed/BTtoMQTT/A4C138000001", {"tempc": 20.0}, retained=True)
    assert (heard.readings, heard.alive) == ((), frozenset())
    assert source.counts["retained"] == 1
