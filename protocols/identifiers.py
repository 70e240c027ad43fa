"""Identifiers made by whoever starts something: UUIDv7 (RFC 9562), so that they sort by time."""

from __future__ import annotations

import random
import uuid


def uuid7(now: float, rng: random.Random) -> str:
    """A UUIDv7 for the Unix time `now` in seconds, its 74 random bits drawn from `rng`."""
    value = (
        (int(now * 1000) & (2**48 - 1)) << 80 | 0x7 << 76 | rng.getrandbits(12) << 64 | 0b10 << 62 | rng.getrandbits(62)
    )
    return str(uuid.UUID(int=value))
