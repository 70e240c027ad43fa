"""How many bytes this process has had written to storage: flash wears by them."""

from __future__ import annotations

from pathlib import Path


def written_bytes(io: Path = Path("/proc/self/io")) -> int | None:
    """Bytes sent to the block layer since start, less what was taken back; None where the kernel does not count."""
    try:
        fields = dict(line.split(": ") for line in io.read_text(encoding="ascii").splitlines())
        return int(fields["write_bytes"]) - int(fields["cancelled_write_bytes"])
    except (OSError, ValueError, KeyError):
        return None
