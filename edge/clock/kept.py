"""The last known time on flash: rarely written, checked when read, never a reason not to start."""

from __future__ import annotations

import zlib
from pathlib import Path

from edge.files import write_whole

LATEST_PLAUSIBLE = 4_102_444_800.0
"""2100-01-01."""


def read_last_known(path: Path, floor: float) -> float:
    """The time kept in `path`, or `floor` where there is none, it is damaged, or it lies below."""
    try:
        text, _, check = path.read_text(encoding="ascii").strip().partition(" ")
        at = float(text)
    except (OSError, ValueError):
        return floor
    if check != f"{zlib.crc32(text.encode()):08x}" or not floor <= at < LATEST_PLAUSIBLE:
        return floor
    return at


def write_last_known(path: Path, at: float) -> None:
    """Keep `at`; a power cut leaves the old file or the new one. Raises OSError."""
    text = f"{at:.0f}"
    write_whole(path, f"{text} {zlib.crc32(text.encode()):08x}\n".encode())
