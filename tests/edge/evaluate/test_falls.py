"""`anju-evaluate falls` on recordings made here: format, scoring, joining and degradation."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.detectors import fall_model
from edge.evaluate.cli import main
from edge.evaluate.fall_scoring import score, wilson
from edge.evaluate.joining import frames, streams
from edge.evaluate.recordings import load


def _fall(rate: float) -> NDArray[np.float64]:
    """Standing, half a second of falling, an impact of 6 g, lying; a body, so never quite still nor weightless."""
    t = np.arange(0, 14, 1 / rate)
    acc = np.where((t < 6)[:, None], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0])
    acc[(t >= 5.5) & (t < 6)] *= 0.4
    acc[(t >= 6) & (t < 6.1)] *= 6.0
    return np.asarray(acc + np.random.default_rng(1).normal(0, 0.02, acc.shape))


def _write(folder: Path, rate: float = 50.0, **columns: str) -> tuple[Path, Path]:
    """A fall and an activity (standing) of one subject; the clock of the fall steps back once."""
    fall, standing = _fall(rate), np.tile([0.0, 1.0, 0.0], (round(20 * rate), 1))
    acc = np.round(np.concatenate((fall, standing)) * 1000).astype(np.int16)
    stamps = np.concatenate((np.arange(len(fall)), np.arange(len(standing)))) * 1000 / rate
    stamps[round(2 * rate) : round(3 * rate)] += 600
    npz, index = folder / "set.npz", folder / "set.csv"
    np.savez(npz, acc=acc, acc_t=stamps.astype(np.int32))
    with index.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("trial", "subject", "activity", "is_fall", "acc_off", "acc_n", "peak_t_s", *columns))
        rows.writerow(("a", "P", "tumble", 1, 0, len(fall), 6.0, *columns.values()))
        rows.writerow(("b", "P", "standing", 0, len(fall), len(standing), "", *columns.values()))
    return npz, index


@pytest.mark.parametrize("rate", [20.0, 50.0, 100.0, 200.0])
@pytest.mark.parametrize("joined", [True, False])
def test_a_fall_is_found_at_any_rate(tmp_path: Path, rate: float, joined: bool) -> None:
    """A plain fall is hit once, late by less than four seconds, and standing gives no alarm."""
    npz, index = _write(tmp_path, rate, group="elder")
    out = tmp_path / "out.json"
    command = ["falls", "--npz", str(npz), "--index", str(index), "--position", "waist", "--json", str(out)]
    assert main([*command, "--join"] if joined else command) == 0
    figures = json.loads(out.read_text())
    assert (figures["sensitivity"], figures["false_alarms_per_hour_elders"]) == (1.0, 0.0)
    assert 2.0 < figures["latency_median_s"] < 4.0
    assert (figures["subjects"], figures["falls"]) == (1, 1)
    assert figures["hours"] == pytest.approx(20 / 3600, rel=0.05)


def test_stamps_in_bursts_tell_the_rate(tmp_path: Path) -> None:
    """Samples stamped as their radio packets came have the rate of the whole trial."""
    npz, index = _write(tmp_path)
    with np.load(npz) as arrays:
        acc, stamps = arrays["acc"], arrays["acc_t"]
    np.savez(npz, acc=acc, acc_t=stamps // 100 * 100 + np.arange(len(stamps)) % 5)
    assert [t.rate_hz for t in load(npz, index)] == pytest.approx([50.0, 50.0], rel=0.02)


def test_the_rule_of_hits(tmp_path: Path) -> None:
    """The first alarm in the window is the hit; of the others one in 30 s is false."""
    stream = streams(load(*_write(tmp_path)), joined=False, seed=0)[0]
    impact = stream.placed[0].at + (stream.placed[0].trial.impact_s or 0.0)
    outcome = score(stream, [impact - 2, impact + 3, impact + 5, impact + 11, impact + 50])
    assert [delay for _, delay in outcome.hits] == [pytest.approx(3.0)]
    assert len(outcome.false) == 2
    assert (outcome.judged_right, outcome.trials) == (2, 2), "both false alarms are in the fall's own trial"
    assert score(stream, [impact + 3, impact + 70]).judged_right == 1, "this one is in the activity"
    assert len(score(stream, [impact + 10.5]).missed) == 1


def test_joining_is_seeded_and_keeps_every_sample(tmp_path: Path) -> None:
    """The same seed gives the same stream; frames run on without a hole and hold every trial."""
    trials = load(*_write(tmp_path))
    one, two, other = (streams(trials, joined=True, seed=s)[0] for s in (1, 1, 2))
    assert [p.at for p in one.placed] == [p.at for p in two.placed] != [p.at for p in other.placed]
    cut = list(frames(one, "w", 0.5))
    assert [f.seq for f in cut] == list(range(len(cut)))
    assert sum(len(f.samples) for f in cut) == sum(len(p.acc) for p in one.pieces)


@pytest.mark.parametrize("text", ["rate=1", "colour=3", "dropout=2", "range_g=x"])
def test_a_degradation_that_cannot_be(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused by name."""
    npz, index = _write(tmp_path)
    assert main(["falls", "--npz", str(npz), "--index", str(index), "--position", "waist", "--degrade", text]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(("column", "value"), [("acc_n", "999999"), ("is_fall", "maybe"), ("peak_t_s", "soon")])
def test_a_bad_index_is_refused(tmp_path: Path, column: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names file, line and what is wrong."""
    npz, index = _write(tmp_path)
    lines = list(csv.DictReader(index.read_text().splitlines()))
    lines[0][column] = value
    with index.open("w", newline="") as file:
        rows = csv.DictWriter(file, list(lines[0]))
        rows.writeheader()
        rows.writerows(lines)
    assert main(["falls", "--npz", str(npz), "--index", str(index), "--position", "waist"]) == 2
    error = capsys.readouterr().err
    assert "set.csv:2: " in error
    assert value in error


def test_wrong_units_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An array in g is no array in milli-g."""
    npz, index = _write(tmp_path)
    np.savez(npz, acc=np.ones((1700, 3), dtype=np.int16))
    assert main(["falls", "--npz", str(npz), "--index", str(index), "--position", "waist"]) == 2
    assert "milli-g" in capsys.readouterr().err


def test_the_interval_of_a_share() -> None:
    """Wilson's interval of 9 in 10, as published tables have it."""
    assert wilson(9, 10) == pytest.approx((0.596, 0.982), abs=0.001)


def _scored(npz: Path, index: Path, out: Path, *more: str) -> dict[str, object]:
    command = ["falls", "--npz", str(npz), "--index", str(index), "--position", "waist", "--join", "--json", str(out)]
    assert main([*command, *more]) == 0
    figures: dict[str, object] = json.loads(out.read_text())
    return figures


@pytest.mark.parametrize("rows", [slice(120, 140), slice(270, 285), slice(330, 350), slice(0, 30)])
@pytest.mark.parametrize("missing", [np.nan, np.inf])
@pytest.mark.parametrize("degrade", ["", "rate=25,range_g=4"])
def test_missing_samples_stay_where_they_are(tmp_path: Path, rows: slice, missing: float, degrade: str) -> None:
    """A third of a second of the fall that is not a number costs neither the fall nor a false alarm."""
    npz, index = _write(tmp_path)
    with np.load(npz) as arrays:
        acc, stamps = arrays["acc"].astype(np.float32), arrays["acc_t"]
    acc[rows] = missing
    np.savez(npz, acc=acc, acc_t=stamps)
    figures = _scored(npz, index, tmp_path / "out.json", "--degrade", degrade)
    assert (figures["sensitivity"], figures["false_alarms"]) == (1.0, 0)


@pytest.mark.parametrize(("first", "lost"), [(3.5, 1.5), (7.5, 1.0), (9.8, 3.0)])
def test_a_gap_is_time_that_passed(tmp_path: Path, first: float, lost: float) -> None:
    """Samples that are not in the file, by the stamps of the rest, before or after the impact: the fall is found."""
    npz, index = _write(tmp_path)
    rows = list(csv.DictReader(index.read_text().splitlines()))
    with np.load(npz) as arrays:
        acc, stamps = arrays["acc"], np.arange(len(arrays["acc"])) * 20 % (20 * int(rows[0]["acc_n"]))
    gone = slice(round(first * 50), round((first + lost) * 50))
    n = gone.stop - gone.start
    np.savez(npz, acc=np.delete(acc, gone, axis=0), acc_t=np.delete(stamps, gone).astype(np.int32))
    rows[0]["acc_n"], rows[1]["acc_off"] = str(int(rows[0]["acc_n"]) - n), str(int(rows[1]["acc_off"]) - n)
    with index.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert sum(seconds for _, seconds in load(npz, index)[0].holes) == pytest.approx(lost, abs=0.1)
    figures = _scored(npz, index, tmp_path / "out.json")
    assert (figures["sensitivity"], figures["false_alarms"]) == (1.0, 0)


@pytest.mark.parametrize("ahead_ms", [400, 800])
@pytest.mark.parametrize("first", [1.0, 5.2, 5.9, 8.0])
def test_a_clock_that_steps_back_in_a_trial(tmp_path: Path, ahead_ms: int, first: float) -> None:
    """It runs ahead for a second and steps back, wherever in the fall: the order of the rows is what counts."""
    npz, index = _write(tmp_path)
    text = index.read_text()
    with np.load(npz) as arrays:
        acc, stamps = arrays["acc"], arrays["acc_t"]
    stamps[100:150] -= 600
    stamps[round(first * 50) : round((first + 1) * 50)] += ahead_ms
    np.savez(npz, acc=acc, acc_t=stamps)
    peak = int(np.argmax(np.abs(acc[:700]).max(axis=1)))
    index.write_text(text.replace(",6.0\n", f",{stamps[peak] / 1000:.2f}\n"))
    trial = load(npz, index)[0]
    assert trial.impact_s == pytest.approx(peak / 50, abs=0.2)
    assert trial.rate_hz == pytest.approx(50, rel=0.02)
    figures = _scored(npz, index, tmp_path / "out.json")
    assert (figures["sensitivity"], figures["false_alarms"]) == (1.0, 0)


@pytest.mark.parametrize("options", [[], ["--power-cut", "2.5"]])
def test_a_power_cut_behind_the_impact(tmp_path: Path, options: list[str]) -> None:
    """The fall is found all the same, later by what was lost; standing still keeps nothing."""
    npz, index = _write(tmp_path, group="elder")
    out = tmp_path / "out.json"
    command = ["falls", "--npz", str(npz), "--index", str(index), "--position", "waist", "--json", str(out)]
    assert main([*command, *options]) == 0
    figures = json.loads(out.read_text())
    assert (figures["sensitivity"], figures["false_alarms"], figures["kept_impacts_per_hour"]) == (1.0, 0, 0.0)
    cuts = figures.get("activities_with_power_cuts")
    assert cuts == ({"away_s": 2.5, "power_cuts": 0, "false_alarms_per_power_cut": None} if options else None)
    assert (figures["latency_median_s"] > 5.0) is bool(options)
    assert main([*command, "--power-cut", "-1"]) == 2


def test_models_beside_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second model is asked as well; beside nothing it cannot stand."""
    npz, index = _write(tmp_path)
    model = str(Path(fall_model.__file__).parent / "models" / "fall_wrist.npz")
    command = ["falls", "--npz", str(npz), "--index", str(index), "--position", "unknown"]
    assert main([*command, "--model", model, "--beside", model]) == 0
    assert main([*command, "--beside", model]) == 2
    assert "--beside" in capsys.readouterr().err
