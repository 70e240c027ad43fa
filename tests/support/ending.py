"""SIGTERM ends a benchmark or a fault run as Ctrl-C does: its servers are stopped and its folders removed."""

from __future__ import annotations

import signal
import sys


def end_on_sigterm() -> None:
    """From now on SIGTERM raises SystemExit in the main thread, so that every `with` block is left in order."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
