"""Memory that the start has used and nobody needs any more goes back to the system."""

from __future__ import annotations

import ctypes
import gc


def settle_down() -> None:
    """Call once everything is built: collects the waste of importing, spares the rest from every later collection, and
    has glibc return free pages (malloc_trim(3)); other C libraries have no such call, and nothing happens there.
    """
    gc.collect()
    gc.freeze()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return
