"""The constants of the personal baselines: the textbook's figures are met, and the command repeats itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.detectors.baseline import ALLOWANCE
from edge.evaluate.cli import main
from edge.evaluate.drift import run_length


@pytest.mark.parametrize(("decision", "days"), [(4.0, 168.0), (5.0, 465.0)])
def test_the_run_lengths_of_the_textbook(decision: float, days: float) -> None:
    """Montgomery's table for a reference value of 0.5: 168 and 465 between false signals of a two-sided chart."""
    assert run_length(ALLOWANCE, decision) == pytest.approx(days, rel=0.01)


def test_a_run_repeats_itself(tmp_path: Path) -> None:
    """With the same seed; a wider interval errs less, and a greater shift is seen sooner."""
    first, again = tmp_path / "a.json", tmp_path / "b.json"
    for out in (first, again):
        assert main(["drift", "--people", "2", "--years", "1", "--seed", "3", "--json", str(out)]) == 0
    assert first.read_text() == again.read_text()
    lines = json.loads(first.read_text())["simulated"]["4 a day, correlation 0"]
    assert lines["10"]["false_notices_per_year"] <= lines["4"]["false_notices_per_year"]
    assert lines["5"]["days_to_notice_median"]["3"] < lines["5"]["days_to_notice_median"]["1.5"]
    assert main(["drift", "--people", "0"]) == 2
