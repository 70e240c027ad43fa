"""The power-cut trials of scripts/faults power, a few of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults.power import run


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_fifty_power_cuts(tmp_path: Path) -> None:
    """In fifty legal states of the disk nothing durable is missing or doubled, and every state opens."""
    report = run(50, 1, tmp_path)
    assert report.failed == []
    assert report.states == 50
    assert report.alarms_promised > 0
    assert report.readings_promised > 0
