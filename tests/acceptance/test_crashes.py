"""kill -9 of gateway, cloud and brokers at random moments of a replay: nothing is lost, nothing doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import chain

ROUNDS = 20


@pytest.mark.xdist_group("crashes")
@pytest.mark.timeout(900)
def test_nothing_lost_nothing_doubled(tmp_path: Path) -> None:
    """Twenty rounds; each process is among the killed."""
    report = chain.run(ROUNDS, 1, tmp_path)
    print(report)
    assert set(report.killed) == set(chain.TARGETS)
    assert (report.rounds, report.lost, report.doubled, report.failed_seeds) == (ROUNDS, 0, 0, [])
    assert report.alarms >= ROUNDS
