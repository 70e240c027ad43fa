"""What the home's topics may carry: each bad input is refused with reason and place, and costs its neighbours
nothing.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from edge.readings import BodyPosition, Device, DeviceRole
from edge.sources.senml import SenmlSource
from edge.sources.waveform import WaveformSource
from protocols.errors import ProtocolError
from protocols.waveform import WaveFrame, encode_wave

NOW = 1_795_000_000.0
DEVICES = (Device("oxi-1", DeviceRole.OXIMETER), Device("w", DeviceRole.WEARABLE, position=BodyPosition.WRIST))
SENML, WAVE = "home/v1/oxi-1/senml", "home/v1/w/wave"


def _pack(*records: dict[str, Any]) -> bytes:
    return json.dumps(list(records)).encode()


GOOD = {"n": "oxi-1/spo2", "u": "%", "v": 97, "t": NOW}


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (SENML, b"\xff\xfe", "malformed"),
        (SENML, b'{"n": 1}', "malformed"),
        (SENML, b"[" + b"1," * 40_000 + b"1]", "oversized"),
        (SENML, _pack({"n": "oxi-1/spo2", "v": 1, "must_": True}), "malformed"),
        ("home/v1/stranger/senml", _pack(GOOD), "unknown_device"),
        ("home/v1/OXI/senml", _pack(GOOD), "wrong_topic"),
        ("home/v2/oxi-1/senml", _pack(GOOD), "wrong_topic"),
        (SENML, b'[{"n":"oxi-1/spo2","v":NaN}]', "malformed"),
    ],
)
def test_refused_packs(topic: str, payload: bytes, reason: str) -> None:
    """The whole pack is wrong."""
    with pytest.raises(ProtocolError) as caught:
        SenmlSource(DEVICES).read(topic, payload, NOW)
    assert caught.value.reason == reason
    assert caught.value.where
    assert caught.value.what


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"n": "oxi-1/spo2", "u": "%", "v": 140, "t": NOW}, "out_of_range"),
        ({"n": "oxi-1/spo2", "u": "m", "v": 97, "t": NOW}, "wrong_unit"),
        ({"n": "oxi-1/spo2", "vs": "fine", "t": NOW}, "wrong_type"),
        ({"n": "oxi-1/karma", "v": 1, "t": NOW}, "unknown_metric"),
        ({"n": "oxi-1/spo2", "u": "%", "v": 97, "t": NOW + 301}, "in_future"),
        ({"n": "oxi-1/spo2", "u": "%", "v": 97, "t": NOW - 90_000}, "too_old"),
    ],
)
def test_refused_values(record: dict[str, Any], reason: str) -> None:
    """One value is wrong: its neighbours are taken, it is counted and handed out once."""
    source = SenmlSource(DEVICES)
    found = source.read(SENML, _pack(GOOD, record, GOOD | {"v": 96}), NOW)
    assert [r.value for r in found] == [97.0, 96.0]
    assert [e.reason for e in source.take_refused()] == [reason]
    assert list(source.take_refused()) == []
    assert source.counts[reason] == 1


@pytest.mark.parametrize("off_s", [7_200, -200_000])
def test_a_danger_is_never_refused_for_its_time(off_s: int) -> None:
    """Whichever clock is wrong, the device's or ours: the press counts, at the time it arrived."""
    source = SenmlSource(DEVICES)
    (reading,) = source.read(SENML, _pack({"n": "oxi-1/sos", "vb": True, "t": NOW + off_s}), NOW)
    assert (reading.metric, reading.at) == ("sos", NOW)
    assert source.counts["retimed"] == 1


def test_replayed_and_retained() -> None:
    """The same value again is no news; a retained message without a time of its own says nothing."""
    source = SenmlSource(DEVICES)
    assert len(source.read(SENML, _pack(GOOD), NOW)) == 1
    assert source.read(SENML, _pack(GOOD), NOW + 1) == []
    assert source.counts["duplicate"] == 1
    assert source.read(SENML, _pack({"n": "oxi-1/spo2", "v": 95}), NOW, retained=True) == []
    assert source.counts["retained"] == 1


def _frame(seq: int, start: float, device: str = "w", value: int = 100) -> bytes:
    samples = np.full((25, 3), value, np.int16)
    return encode_wave(WaveFrame(device, seq, start, 50.0, 0.0005, 16.0, 0.0, ("ax", "ay", "az"), samples))


def test_frames_in_order_each_once() -> None:
    """Duplicates and late frames are dropped and counted, gaps are counted, a device may start again."""
    source = WaveformSource(DEVICES)
    taken = [source.read(WAVE, _frame(seq, NOW + seq), NOW + seq) for seq in (100, 101, 101, 105, 103)]
    assert [f is not None for f in taken] == [True, True, False, True, False]
    assert (source.counts["duplicate"], source.counts["missing"], source.counts["late"]) == (1, 3, 1)
    assert source.read(WAVE, _frame(0, NOW + 200), NOW + 200) is not None
    assert source.counts["restarted"] == 1


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (WAVE, b"AW", "malformed"),
        (WAVE, b"XX" + _frame(1, NOW)[2:], "malformed"),
        (WAVE, _frame(1, NOW)[:-1] + b"\x00", "bad_checksum"),
        (WAVE, b"AW\x02" + _frame(1, NOW)[3:], "wrong_version"),
        (WAVE, b"x" * 40_000, "oversized"),
        (WAVE, _frame(1, NOW, "oxi-1"), "wrong_topic"),
        (WAVE, _frame(1, NOW + 1_000), "in_future"),
        (WAVE, _frame(1, NOW - 10_000), "too_old"),
        ("home/v1/stranger/wave", _frame(1, NOW, "stranger"), "unknown_device"),
    ],
)
def test_refused_frames(topic: str, payload: bytes, reason: str) -> None:
    """And the next good frame is taken as if nothing had happened."""
    source = WaveformSource(DEVICES)
    with pytest.raises(ProtocolError) as caught:
        source.read(topic, payload, NOW)
    assert caught.value.reason == reason
    assert source.read(WAVE, _frame(1, NOW), NOW) is not None
