"""anju-evaluate news2 and series: right on good files, one clear line on bad ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.evaluate.cli import main

HEADER = "why,rr,spo2,scale2,o2,sbp,pulse,acvpu,temp,s_rr,s_spo2,s_o2,s_sbp,s_pulse,s_acvpu,s_temp,total,risk\n"


def test_news2_agrees_on_the_recordings(recordings: Path, tmp_path: Path) -> None:
    """Every sub-score, total and band of the reference cases agrees."""
    out = tmp_path / "news2.json"
    assert main(["news2", str(recordings / "news2" / "news2_cases.csv"), "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert {v for k, v in figures.items() if k.endswith("_agreement")} == {1.0}


def test_news2_with_missing_inputs(tmp_path: Path) -> None:
    """A case with missing inputs agrees when the expected total lies in the range; a wrong one is named."""
    file, out = tmp_path / "cases.csv", tmp_path / "out.json"
    file.write_text(
        HEADER + "x,22,90,1,1,,80,A,37.0,2,0,2,0,0,0,0,4,low\nx,18,97,0,0,120,70,A,37,0,0,0,0,0,0,0,1,low\n"
    )
    assert main(["news2", str(file), "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert figures["cases_with_missing_inputs"] == 1
    assert figures["total_agreement"] == 0.5
    assert figures["disagreements"] == [{"line": 3, "of": "total", "expected": "1", "got": "0..0"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("a,b\n1,2\n", "no column"),
        (HEADER, "there are no rows"),
        (HEADER + "x,many,97,0,0,120,70,A,37,0,0,0,0,0,0,0,0,low\n", ":2: rr is a number"),
        (HEADER + "x,18,97,0,0,120,70,B,37,0,0,0,0,0,0,0,0,low\n", ":2: acvpu is one of"),
        (HEADER + "x,18\n", ":2: it has not 18 columns"),
    ],
)
def test_a_bad_file_is_one_clear_line(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong is said with file and line, and the exit code is 2."""
    file = tmp_path / "bad.csv"
    file.write_text(text)
    assert main(["news2", str(file)]) == 2
    assert said in capsys.readouterr().err


def test_series_writes_a_score_for_every_row(tmp_path: Path) -> None:
    """As many scores as rows, in order, in [0, 1]; dates, Unix seconds and missing values are all taken."""
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    rows = [f"2014-04-01 00:{i:02d}:00,{i % 7}" for i in range(60)] + ["1396400000,", "1396400300,nan", "1396400600,2"]
    file.write_text("timestamp,value\n" + "\n".join(rows) + "\n")
    assert main(["series", str(file), "--out", str(out)]) == 0
    lines = out.read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == [row.split(",")[0] for row in rows]
    assert all(0 <= float(line.split(",")[2]) <= 1 for line in lines)


def test_the_series_benchmark_beats_simple_charts(tmp_path: Path) -> None:
    """On planted anomalies the gateway's score is better than a z-score and an EWMA."""
    out = tmp_path / "out.json"
    assert main(["series", "--benchmark", "1", "--seed", "5", "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    ours = figures.pop("anju")
    peers = [figures[name] for name in ("rolling z-score", "EWMA")]
    assert ours["auc"] > 0.8
    assert all(ours["auc"] > p["auc"] + 0.1 and ours["window_score"] > p["window_score"] + 20 for p in peers)


@pytest.mark.parametrize("options", [[], ["x.csv"], ["x.csv", "--benchmark", "1"], ["--benchmark", "0"]])
def test_series_wants_a_file_and_its_output_or_the_benchmark(options: list[str]) -> None:
    """Anything else is one clear line."""
    assert main(["series", *options]) == 2
