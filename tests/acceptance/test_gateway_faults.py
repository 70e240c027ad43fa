"""Everything around a gateway breaks: the cloud has exactly what was sent, or is told what went."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import gateway
from tests.faults.gateway_breaks import FAULTS

ROUNDS = 20


@pytest.mark.xdist_group("gateway-faults")
@pytest.mark.timeout(900)
def test_nothing_lost_nothing_doubled(tmp_path: Path) -> None:
    """Twenty rounds of faults drawn by their seeds; each press of the button is one alarm."""
    report = gateway.run(ROUNDS, 1, tmp_path)
    print(report)
    assert (report.rounds, report.lost, report.doubled, report.failed_seeds) == (ROUNDS, 0, 0, [])
    assert set(FAULTS) - set(report.faults) <= {"disk_full"}
    assert ROUNDS - 2 <= report.alarms <= ROUNDS  # a damaged file may cost one, and is told then
    assert report.readings > ROUNDS * 80
