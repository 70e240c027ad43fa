"""Files that a power cut must not leave half written."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, body: bytes, mode: int = 0o644) -> None:
    """Replace a file so that a power cut leaves the old or the new one, never a part; it has `mode`, less the umask,
    from the first byte. Raises OSError.
    """
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)  # one left by a cut would keep its own mode
    with open(beside, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as out:
        out.write(body)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Names that came or went in `folder` are on flash on return. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
