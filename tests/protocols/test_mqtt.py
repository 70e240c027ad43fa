"""PUBLISH packets in bulk: whole, in pieces, broken; and that gmqtt still has the places this hangs in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import gmqtt
import pytest
from gmqtt.mqtt.constants import MQTTv311
from hypothesis import given
from hypothesis import strategies as st

from protocols.mqtt import PacketError, encode_publish, is_connected, read_faster, read_packets, write_packets
from tests.support.mosquitto import mosquitto

Message = tuple[str, bytes, bool]


def _read(data: bytes, *, own_ids: bool = False) -> tuple[int, bytes, list[Message], list[bytes]]:
    found: list[Message] = []
    others: list[bytes] = []

    def other(packet: bytes) -> int:
        others.append(packet)
        return len(packet)

    taken, acks = read_packets(data, lambda t, p, r: found.append((t, p, r)), other, own_ids=own_ids)
    return taken, acks, found, others


MESSAGES = st.lists(
    st.tuples(
        st.text(st.characters(codec="utf-8", exclude_characters="\x00+#"), min_size=1, max_size=40),
        st.binary(max_size=400),
        st.one_of(st.none(), st.integers(1, 65_535)),
        st.booleans(),
    ),
    max_size=8,
)


@given(MESSAGES, st.integers(0, 4_000))
def test_round_trip_in_pieces(messages: list[tuple[str, bytes, int | None, bool]], cut: int) -> None:
    """What is encoded is read, wherever the stream is cut; every QoS 1 packet is acknowledged by its own id."""
    data = b"".join(encode_publish(t.encode(), p, i, retain=r) for t, p, i, r in messages)
    taken, acks, found, others = _read(data[:cut])
    rest_taken, more_acks, more, more_others = _read(data[taken:])
    assert taken + rest_taken == len(data)
    assert found + more == [(t, p, r) for t, p, _, r in messages]
    assert acks + more_acks == b"".join(b"\x40\x02" + i.to_bytes(2, "big") for _, _, i, _ in messages if i is not None)
    assert others + more_others == []


def test_large_and_other_packets() -> None:
    """Lengths of three bytes; packets that are no PUBLISH go their own way, own PUBACKs nowhere."""
    large = encode_publish(b"t", b"x" * 300_000, 7)
    taken, acks, found, others = _read(large + b"\xd0\x00" + b"\x40\x02\x00\x01")
    assert (taken, acks, len(found[0][1])) == (len(large) + 6, b"\x40\x02\x00\x07", 300_000)
    assert others == [b"\xd0\x00", b"\x40\x02\x00\x01"]
    assert _read(b"\x40\x02\x00\x01", own_ids=True)[3] == []


@pytest.mark.parametrize("data", [b"\x32\xff\xff\xff\xff\x01", b"\x32\x03\x00\x09a", b"\x30\x02\x00\x05"])
def test_what_is_no_mqtt(data: bytes) -> None:
    """A length without end and a topic longer than its packet end the connection."""
    with pytest.raises(PacketError):
        _read(data + b"\x00" * 10)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Whatever a peer sends, reading ends with a count or a PacketError."""
    try:
        taken, *_ = _read(data)
    except PacketError:
        return
    assert 0 <= taken <= len(data)


async def _client(port: int, name: str, on_message: Callable[[str, bytes, bool], None], **options: Any) -> gmqtt.Client:
    client = gmqtt.Client(name)
    client.set_config({"reconnect_retries": -2})
    client.on_message = lambda *_: 0
    await client.connect("127.0.0.1", port, keepalive=5, version=MQTTv311)
    read_faster(client, on_message, **options)
    return client


async def test_gmqtt_takes_the_shorter_way() -> None:
    """Through a real broker: subscribing, bulk writing, QoS 0 and 1, gathering, and the keep-alive still work."""
    got: list[Message] = []
    with mosquitto() as port:
        reader = await _client(port, "reader", lambda t, p, r: got.append((t, p, r)), gather_s=0.01)
        reader.subscribe([gmqtt.Subscription("a/#", qos=1)])
        writer = await _client(port, "writer", lambda *_: None, own_ids=True)
        await asyncio.sleep(0.3)
        packets = [encode_publish(b"a/%d" % (i % 7), b"%d" % i, i + 1 if i % 2 else None) for i in range(2_000)]
        write_packets(writer, b"".join(packets))
        async with asyncio.timeout(20):
            while len(got) < 2_000:  # noqa: ASYNC110 - an event would be set from the code under test
                await asyncio.sleep(0.02)
            await asyncio.sleep(6)  # longer than the keep-alive: pings go on
        assert sorted(int(p) for _, p, _ in got) == list(range(2_000))
        assert is_connected(reader)
        assert is_connected(writer)
        for client in (reader, writer):
            await client.disconnect()
        assert not is_connected(writer)
