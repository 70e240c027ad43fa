"""The constants of the personal baselines: the textbook's figures are met, and the command repeats itself."""

from __future__ import annotations

import csv
import json
import random
from datetime import datetime
from pathlib import Path

import pytest

from edge.detectors.baseline import ALLOWANCE, DECISION
from edge.evaluate.ambient import Home
from edge.evaluate.cli import main
from edge.evaluate.drift import correlations, run_length
from tests.edge.detectors import test_habits as habits

_RESULTS = Path(__file__).resolve().parents[3] / "docs" / "results" / "drift.json"


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


@pytest.mark.parametrize(("weeks", "least", "most"), [((1.0, 0.4), -1.5, -0.5), ((1.0, 1.0), -0.6, 0.4)])
def test_the_correlation_of_a_recorded_home(weeks: tuple[float, float], least: float, most: float) -> None:
    """Busy and quiet days in turn are correlated against each other; days alike but for chance hardly at all."""
    rng = random.Random(2)
    readings = [r for n in range(21) for r in habits.day(n, rng, activity=weeks[n % 2])]
    found = correlations(Home(habits.DEVICES, tuple(readings)), habits.ZONE)["active"]
    assert found["days"] in (18, 19, 20)
    assert found["correlation"] is not None
    assert least < found["correlation"] < most


def test_a_home_by_the_command(tmp_path: Path) -> None:
    """Files of events are read as `routine` reads them; a zone that is none is refused."""
    file, out = tmp_path / "home.csv", tmp_path / "out.json"
    with file.open("w", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(("start", "end", "sensor", "place"))
        for n in range(6):
            for r in habits.day(n, random.Random(n)):
                at = datetime.fromtimestamp(r.at, habits.ZONE).replace(tzinfo=None)
                rows.writerow((at, at, r.device, "kitchen" if r.device == "fridge" else "living"))
    command = ["drift", "--people", "1", "--years", "1", "--events", str(file), "--json", str(out)]
    assert main(command) == 0
    assert set(json.loads(out.read_text())["recorded_days"]) == {"home"}
    assert main([*command, "--zone", "Nowhere/At_all"]) == 2


def test_the_docs_say_what_was_measured() -> None:
    """The results file is of the interval in use, and the table of habits is the file's."""
    results = json.loads(_RESULTS.read_text())
    assert results["decision_interval_in_use"] == DECISION
    page = (_RESULTS.parents[1] / "detectors" / "routine.md").read_text(encoding="utf-8")
    for kind, line in results["habits"].items():
        rates = " / ".join(f"{line[h]['false_notices_per_year']:.2f}" for h in ("5", "8", "10"))
        days = " / ".join(f"{line['8']['days_to_notice_median'][shift]:.0f}" for shift in ("1", "2"))
        assert f"| {kind.split()[-1]} | {rates} | {days} |" in page
    found = [of["correlation"] for home in results["recorded_days"].values() for of in home.values()]
    assert f"from {min(found):.2f} to {max(found):.2f}" in page
