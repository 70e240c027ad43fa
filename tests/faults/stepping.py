"""Runs anju-gateway with a wall clock that is off by the seconds in a file, read again every time it is asked.

The file holds the offset and whether NTP disciplines the clock (1 or 0). A step is believed after `CONFIRM_S` instead
of half a minute, so that a round of a few seconds sees both a step that is doubted and one that is believed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from edge.clock import system, timeline
from edge.clock.timeline import Observed

CONFIRM_S = 1.0


def _install(file: Path) -> None:
    known = (0.0, True)

    def observe() -> Observed:
        nonlocal known
        try:
            offset, synced = file.read_text().split()
            known = float(offset), synced == "1"
        except (OSError, ValueError):
            pass  # it is being written: as before
        return Observed(time.time() + known[0], time.clock_gettime(time.CLOCK_BOOTTIME), known[1])

    system.observe_machine = observe
    timeline.CONFIRM_S = CONFIRM_S


if __name__ == "__main__":
    _install(Path(sys.argv[1]))
    from edge.cli import main

    sys.exit(main(sys.argv[2:]))
