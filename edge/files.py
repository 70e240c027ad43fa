"""Files that a power cut must not leave half written."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, body: bytes, mode: int = 0o644) -> None:
    """Replace a file so that a power cut leaves the old or the new one, never a part. Raises OSError."""
    beside = path.with_name(path.name + ".new")
    with open(beside, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as out:
        out.write(body)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
