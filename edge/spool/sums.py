"""Check sums over what is stored: SQLite notices a torn page, but not a bit that has flipped inside a value."""

from __future__ import annotations

import zlib

from protocols.metrics import Value


def of_body(lane: str, key: int | str, body: bytes | object) -> int:
    """Of a message in its place, or of an open alarm under its id; -1, which is no sum, of what is no message."""
    if not isinstance(body, bytes):
        return -1  # a flipped bit can make SQLite take it for a text or a number
    return zlib.crc32(body, zlib.crc32(f"{lane} {key} ".encode()))


def of_reading(device: str, metric: str, at: float, value: Value, run: str | None, base: float | None) -> int:
    """Of a reading that waits for a batch, with the clock it was stamped by."""
    return zlib.crc32(repr((device, metric, at, value, run, base)).encode())


def of_text(text: str) -> int:
    """Of a word such as the epoch."""
    return zlib.crc32(text.encode())
