"""Runs anju-cloud with a clock that is off by the seconds in a file, read again every time it is asked."""

from __future__ import annotations

import sys
import time
from pathlib import Path

_true_time = time.time


def _install(file: Path) -> None:
    def jumping() -> float:
        try:
            return _true_time() + float(file.read_text() or 0)
        except (OSError, ValueError):
            return _true_time()

    time.time = jumping


if __name__ == "__main__":
    _install(Path(sys.argv[1]))
    from cloud.cli import main

    sys.exit(main(sys.argv[2:]))
