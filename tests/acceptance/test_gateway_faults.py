"""Everything around a gateway breaks: the cloud has exactly what was sent, or is told what went."""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path

import pytest

from tests.faults import gateway
from tests.faults.gateway_breaks import FAULTS, draw

ROUNDS = 20


def _first_seed() -> int:
    """The first whose rounds draw every fault, however many there are by now."""
    for seed in count(1):
        drawn = {fault for i in range(ROUNDS) for fault in draw(random.Random(seed + i), FAULTS)}
        if drawn == set(FAULTS):
            return seed
    raise AssertionError


@pytest.mark.xdist_group("gateway-faults")
@pytest.mark.timeout(900)
def test_nothing_lost_nothing_doubled(tmp_path: Path) -> None:
    """Twenty rounds of faults drawn by their seeds; each press of the button, and each fall, is one alarm."""
    report = gateway.run(ROUNDS, _first_seed(), tmp_path)
    print(report)
    assert (report.rounds, report.lost, report.doubled, report.failed_seeds) == (ROUNDS, 0, 0, [])
    assert set(FAULTS) - set(report.faults) <= {"disk_full"}
    sent = ROUNDS + report.faults["kill_in_a_fall"]
    assert sent - 2 <= report.alarms <= sent  # a damaged file may cost one, and is told then
    assert report.readings > ROUNDS * 80
