"""Ingest while things break: nothing is lost, nothing doubled, nothing refused that is good."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import ingest

ROUNDS = 20


@pytest.mark.xdist_group("ingest-faults")
@pytest.mark.timeout(1_200)
def test_nothing_lost_nothing_doubled(tmp_path: Path) -> None:
    """Twenty rounds of faults drawn by their seeds."""
    report = ingest.run(ROUNDS, 1, tmp_path)
    print(report)
    assert report.rounds == ROUNDS
    assert len(report.faults) >= 8
    assert report.batches > ROUNDS * 400
    assert (report.lost, report.doubled, report.wrongly_refused, report.failed_seeds) == (0, 0, 0, [])
