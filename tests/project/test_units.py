"""The systemd units: no weaker than the documentation says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"


@pytest.mark.parametrize("unit", ["anju-gateway.service", "anju-cloud@.service"])
def test_units_keep_their_score(unit: str) -> None:
    """Exposure at most 2.0 of 10, by systemd's own judgement."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze on this machine")
    command = [program, "security", "--offline=true", "--threshold=20", str(UNITS / unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
