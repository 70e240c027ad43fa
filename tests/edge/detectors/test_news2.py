"""NEWS2 against the published table and the reference cases."""

from __future__ import annotations

import csv
from pathlib import Path

from edge.detectors.news2 import Observation, Risk, score


def test_worked_example() -> None:
    """RR 22, SpO2 90 on scale 2 with oxygen, SBP 130, HR 80, alert, 37.0 °C scores 4."""
    total = score(Observation(22, 90, True, 130, 80, "A", 37.0, scale2=True))
    assert (total.low, total.high, total.risk) == (4, 4, Risk.LOW)


def test_missing_is_a_range() -> None:
    """A missing input is never scored 0: the total becomes a range and names what is missing."""
    total = score(Observation(respiration=18, spo2=97, pulse=80))
    assert total.low == 0
    assert total.high == 2 + 3 + 3 + 3
    assert {str(m) for m in total.missing} == {"oxygen", "systolic", "consciousness", "temperature"}


def test_reference_cases(recordings: Path) -> None:
    """Total and risk of every complete reference case agree."""
    with (recordings / "news2" / "news2_cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    wrong = []
    for row in rows:
        total = score(
            Observation(
                respiration=float(row["rr"]),
                spo2=float(row["spo2"]),
                oxygen=row["o2"] == "1",
                systolic=float(row["sbp"]),
                pulse=float(row["pulse"]),
                consciousness=row["acvpu"],
                temperature=float(row["temp"]),
                scale2=row["scale2"] == "1",
            )
        )
        if (total.low, total.high, str(total.risk)) != (int(row["total"]), int(row["total"]), row["risk"]):
            wrong.append((row["why"], total.low, row["total"], total.risk))
    assert len(rows) > 100
    assert wrong == []
