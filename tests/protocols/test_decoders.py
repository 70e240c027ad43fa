"""Decoders on good, bad and arbitrary bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols import senml, wire
from protocols.errors import ProtocolError, Reason
from protocols.waveform import WaveFrame, decode_wave, encode_wave
from tests.conftest import CODEC_EXAMPLES

DECODERS: list[Callable[[bytes], object]] = [
    wire.decode_telemetry,
    wire.decode_alarm,
    wire.decode_status,
    wire.decode_ack,
    wire.decode_command,
    wire.decode_reply,
    wire.decode_say,
    decode_wave,
]
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["v", "n", "t", "seq", "x_"]), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("decode", DECODERS, ids=lambda d: d.__name__)
@settings(max_examples=CODEC_EXAMPLES)
@given(data=st.binary(max_size=200) | JSON.map(lambda v: repr(v).encode()))
def test_only_our_errors(decode: Callable[[bytes], object], data: bytes) -> None:
    """Arbitrary bytes are never a message, and all a decoder raises is a ProtocolError that says what and where."""
    with pytest.raises(ProtocolError) as caught:
        decode(data)
    assert caught.value.where
    assert caught.value.what


@settings(max_examples=CODEC_EXAMPLES)
@given(data=st.binary(max_size=200) | JSON.map(lambda v: repr(v).encode()))
def test_pack_decoder_raises_only_our_errors(data: bytes) -> None:
    """Arbitrary JSON may be a legal SenML pack (RFC 8428 asks for little): then it is one, else a ProtocolError."""
    outcome = _pack_or_error(data)
    assert outcome.what and outcome.where if isinstance(outcome, ProtocolError) else len(outcome) > 0


def _pack_or_error(data: bytes) -> list[senml.Record] | ProtocolError:
    try:
        return senml.decode_pack(data)
    except ProtocolError as error:
        return error


def _frame(device: str, seq: int, start: float, rows: list[list[int]]) -> WaveFrame:
    samples = np.array(rows, np.int16)
    return WaveFrame(device, seq, start, 50.0, 0.5, 16.0, 0.0, ("ax", "ay", "az"), samples)


@given(
    seq=st.integers(0, 2**32 - 1),
    start=st.floats(0, wire.LATEST_TIME),
    rows=st.lists(st.lists(st.integers(-32768, 32767), min_size=3, max_size=3), min_size=1, max_size=60),
)
def test_wave_round_trip(seq: int, start: float, rows: list[list[int]]) -> None:
    """A waveform frame comes back as it was sent."""
    frame = _frame("wrist-1", seq, start, rows)
    back = decode_wave(encode_wave(frame))
    assert (back.device, back.seq, back.start, back.channels) == ("wrist-1", seq, start, frame.channels)
    assert np.array_equal(back.samples, frame.samples)


@given(place=st.integers(0, 60), flip=st.integers(1, 255))
def test_wave_damage_is_found(place: int, flip: int) -> None:
    """One changed byte anywhere in a frame is refused."""
    data = bytearray(encode_wave(_frame("wrist-1", 7, 1e9, [[1, 2, 3]] * 8)))
    data[place] ^= flip
    with pytest.raises(ProtocolError):
        decode_wave(bytes(data))


@pytest.mark.parametrize(
    ("pack", "reason", "where"),
    [
        (b"[", Reason.MALFORMED, "pack"),
        (b"{}", Reason.MALFORMED, "records"),
        (b"[]", Reason.OVERSIZED, "pack"),
        (b'[{"n":"a","v":"1"}]', Reason.MALFORMED, "records[0].v"),
        (b'[{"n":"a","v":1,"x_":1}]', Reason.MALFORMED, "pack[0].x_"),
        (b"[" + b" " * 70_000 + b"]", Reason.OVERSIZED, "pack"),
    ],
)
def test_bad_pack_names_the_place(pack: bytes, reason: Reason, where: str) -> None:
    """A pack that cannot be read is refused with its reason and the place of the mistake."""
    with pytest.raises(ProtocolError) as caught:
        senml.decode_pack(pack)
    assert (caught.value.reason, caught.value.where) == (reason, where)


def test_senml_base_fields() -> None:
    """Base name, time, unit and value apply to the records that follow (RFC 8428, section 4.6)."""
    pack = (
        b'[{"bn":"cuff/","bt":1700000000,"bu":"mm[Hg]","bv":100,"n":"systolic","v":20},'
        b'{"n":"diastolic","v":-20,"t":-1}]'
    )
    first, second = senml.resolve(senml.decode_pack(pack), now=0.0)
    assert (first.name, first.unit, first.at, first.value) == ("cuff/systolic", "mm[Hg]", 1.7e9, 120.0)
    assert (second.name, second.at, second.value) == ("cuff/diastolic", 1.7e9 - 1, 80.0)


def test_senml_relative_time() -> None:
    """A small time counts from now, backwards when negative (RFC 8428, section 4.5.3)."""
    record = senml.resolve([senml.Record(n="a", v=1.0, t=-5.0)], now=1.8e9)[0]
    assert record.at == 1.8e9 - 5


def test_pending_alarm_needs_decide_by() -> None:
    """A pending alarm without decide_by is refused: nobody would ever raise it."""
    event = (
        b'{"v":1,"alarm_id":"01920000-0000-7000-8000-000000000000","epoch":"0123456789abcdef","seq":1,"kind":"fall",'
        b'"priority":"high","state":"pending","at":1,"clock":"synced","reason":"x","sent":1,"changed_at":1}'
    )
    with pytest.raises(ProtocolError, match="decide_by"):
        wire.decode_alarm(event)
