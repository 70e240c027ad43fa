"""A plain MQTT publisher for benchmarks: ready QoS 1 packets through one socket, as fast as the broker takes them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable

from protocols.mqtt import encode_publish

_CONNECT = b"\x10\x16\x00\x04MQTT\x04\x02\x00\x3c\x00\x0aanju-bench"


def publish_all(port: int, messages: Iterable[tuple[bytes, bytes]], at_once: int = 500) -> int:
    """Publish (topic, payload) at QoS 1 and return when the broker has acknowledged all; returns how many."""
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.sendall(_CONNECT)
        link.recv(4)
        acknowledged = 0
        sent = 0
        done = threading.Event()
        finished = threading.Event()

        def listen() -> None:
            nonlocal acknowledged
            taken = 0
            while not (finished.is_set() and taken // 4 >= sent):
                data = link.recv(65_536)
                if not data:
                    break
                taken += len(data)
                acknowledged = taken // 4
            done.set()

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        packets: list[bytes] = []
        for topic, payload in messages:
            sent += 1
            packets.append(encode_publish(topic, payload, sent % 65_535 + 1))
            if len(packets) == at_once:
                link.sendall(b"".join(packets))
                packets.clear()
        end = encode_publish(b"anju/bench/end", b"", sent % 65_535 + 1)
        sent += 1
        finished.set()  # only now: with one fewer the listener could leave before the last acknowledgement
        link.sendall(b"".join(packets) + end)
        done.wait(60)
        listener.join(60)
        link.sendall(b"\xe0\x00")
        return acknowledged - 1
