"""Recordings of other people through the commands: other types, names, orders and gaps give the same figures, and what
cannot be used is one clear line.
"""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.evaluate.ambient import load as load_home
from edge.evaluate.cli import main
from edge.evaluate.joining import still_pieces
from edge.evaluate.recordings import load
from edge.evaluate.rows import moment
from tests.edge.detectors import fall_physics as physics

Rows = list[dict[str, Any]]
_RATE = 50.0


def _trials() -> tuple[list[physics.Signal], Rows]:
    """Two falls and two activities of one person."""
    rng = np.random.default_rng(4)
    signals, rows = [], []
    for n, made in enumerate((physics.fall(peak=5.0), physics.fall(peak=6.5), physics.walking_on(), physics.jumping())):
        signal, impact = made if isinstance(made, tuple) else (made, None)
        signals.append(signal + rng.normal(0, 0.01, signal.shape))
        rows.append(
            {
                "trial": f"t{n}",
                "subject": "P",
                "activity": f"A{n}",
                "is_fall": int(impact is not None),
                "acc_n": len(signal),
                "acc_fs_est": _RATE,
                "peak_t_s": "" if impact is None else f"{impact:.2f}",
                "age": 80,
                "group": "elder",
            }
        )
    return signals, rows


def _written(
    folder: Path,
    signals: list[physics.Signal],
    rows: Rows,
    dtype: type = np.int16,
    stamps: NDArray[Any] | None = None,
    encoding: str = "utf-8",
    line_end: str = "\n",
) -> list[str]:
    """The options of `falls` for these trials."""
    starts = np.cumsum([0, *(len(s) for s in signals)])
    arrays: dict[str, Any] = {"acc": np.round(np.concatenate(signals) * 1000).astype(dtype)}
    if stamps is not None:
        arrays["acc_t"] = stamps
    np.savez(folder / "set.npz", **arrays)
    with (folder / "set.csv").open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, [*rows[0], "acc_off"], lineterminator=line_end)
        writer.writeheader()
        writer.writerows(row | {"acc_off": start} for row, start in zip(rows, starts, strict=False))
    return ["--npz", str(folder / "set.npz"), "--index", str(folder / "set.csv"), "--position", "waist"]


def _figures(folder: Path, *command: str) -> dict[str, Any]:
    out = folder / "out.json"
    assert main([*command, "--json", str(out)]) == 0
    figures: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return figures


def _turned(signals: list[physics.Signal], rows: Rows) -> None:
    signals[:] = [signal[:, [2, 0, 1]] * [-1, 1, -1] for signal in signals]


def _names(signals: list[physics.Signal], rows: Rows) -> None:
    for row in rows:
        row |= {"subject": "Пётр [/1]", "activity": f"跌倒 [/x] {row['activity']}", "trial": f"a/{row['trial']}"}


def _words(signals: list[physics.Signal], rows: Rows) -> None:
    for row in rows:
        row |= {"is_fall": bool(row["is_fall"]), "acc_n": f"{row['acc_n']}.0"}


def _least(signals: list[physics.Signal], rows: Rows) -> None:
    for row in rows:
        for name in ("trial", "activity", "age", "peak_t_s"):
            del row[name]


def _group_says_nothing(signals: list[physics.Signal], rows: Rows) -> None:
    for row in rows:
        row["group"] = "B"


@pytest.mark.parametrize("change", [_turned, _names, _words, _least, _group_says_nothing])
def test_another_coding_changes_nothing(
    tmp_path: Path, change: Callable[[list[physics.Signal], Rows], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Axes, names (also with what a terminal takes for markup), truth in words, only what is needed, elders by age."""
    signals, rows = _trials()
    plain = _figures(tmp_path, "falls", *_written(tmp_path, signals, rows), "--join")
    assert (plain["hits"], plain["falls"], plain["false_alarms"]) == (2, 2, 0)
    change(signals, rows)
    figures = _figures(tmp_path, "falls", *_written(tmp_path, signals, rows), "--join")
    same = ("hits", "falls", "false_alarms", "false_alarms_per_hour_elders", "hours", "subjects")
    assert [figures[name] for name in same] == [plain[name] for name in same]
    assert rows[0]["subject"] in capsys.readouterr().out


@pytest.mark.parametrize(
    "how",
    [
        {"dtype": np.float32},
        {"dtype": np.float64},
        {"dtype": np.int32},
        {"line_end": "\r\n"},
        {"encoding": "utf-8-sig"},
    ],
    ids=str,
)
def test_another_type_is_the_same_to_the_last_figure(tmp_path: Path, how: dict[str, Any]) -> None:
    """As of numbers and lines in the files."""
    signals, rows = _trials()
    plain = _figures(tmp_path, "falls", *_written(tmp_path, signals, rows), "--join")
    assert _figures(tmp_path, "falls", *_written(tmp_path, signals, rows, **how), "--join") == plain


def test_a_label_of_another_unit_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A peak in milliseconds would count every fall as missed."""
    signals, rows = _trials()
    rows[0]["peak_t_s"] = 6000
    assert main(["falls", *_written(tmp_path, signals, rows)]) == 2
    assert "set.csv:2: peak_t_s 6000 lies outside" in capsys.readouterr().err


def test_lost_signal_is_no_hour_of_activities(tmp_path: Path) -> None:
    """A clock that leaps by an hour in an activity does not dilute the false alarms."""
    signals, rows = _trials()
    stamps = np.concatenate([np.arange(len(s)) * 20 for s in signals])
    plain = _figures(tmp_path, "falls", *_written(tmp_path, signals, rows, stamps=stamps))
    stamps[len(signals[0]) + len(signals[1]) + 100 : -len(signals[3])] += 3_600_000
    figures = _figures(tmp_path, "falls", *_written(tmp_path, signals, rows, stamps=stamps))
    assert figures["hours"] == pytest.approx(plain["hours"], rel=0.01)
    assert sum(s for t in load(tmp_path / "set.npz", tmp_path / "set.csv") for _, s in t.holes) == pytest.approx(3600)


@pytest.mark.parametrize("command", ["falls", "stream"])
@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", "npy", "cut", "nan", "flat"])
def test_a_file_that_is_no_recording(
    tmp_path: Path, command: str, content: bytes | str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is in it, it is refused by name."""
    options, npz = _written(tmp_path, *_trials()), tmp_path / "set.npz"
    if content == "npy":
        np.save(tmp_path / "one.npy", np.zeros((5, 3)))
        content = (tmp_path / "one.npy").read_bytes()
    elif content == "cut":
        content = npz.read_bytes()[:2000]
    if isinstance(content, bytes):
        npz.write_bytes(content)
    else:
        np.savez(npz, acc=np.full((9_000, 3), np.nan if content == "nan" else 0.0))
    more = options if command == "falls" else [str(npz), "--rate", "50", "--position", "waist"]
    assert main([command, *more]) == 2
    assert "set.npz" in capsys.readouterr().err


def test_figures_that_could_not_be_written_are_not_computed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A place that cannot be written is said before hours of work; one that can be is as it was if the work fails."""
    wrong = ["news2", "not-there.csv", "--json"]
    assert main([*wrong, str(tmp_path / "no" / "out.json")]) == 2
    assert "out.json" in capsys.readouterr().err
    assert main([*wrong, str(tmp_path / "out.json")]) == 2
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SystemExit):
        main([*wrong, str(tmp_path / "out.json"), "--seed", "-1"])


def test_a_screen_that_knows_few_letters(tmp_path: Path) -> None:
    """Names that it cannot show cost neither the tables nor the figures."""
    (tmp_path / "in.csv").write_text("timestamp,value\n1,1\n")
    command = ["series", str(tmp_path / "in.csv"), "--out", str(tmp_path / "köln.csv"), "--json", str(tmp_path / "o")]
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-m", "edge.evaluate", *command], env=env, capture_output=True, text=True)
    assert (done.returncode, "rows" in done.stdout) == (0, True), done.stderr
    assert json.loads((tmp_path / "o").read_text())["rows"] == 1


def test_a_recording_with_names_in_capitals(tmp_path: Path) -> None:
    """Of the axes, with a byte order mark and other columns beside."""
    signal, impact = physics.fall()
    body = "".join(f"{n},{x:.4f},{y:.4f},{z:.4f}\r\n" for n, (x, y, z) in enumerate(signal))
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbfTime,Acc_X,Acc_Y,Acc_Z\r\n" + body.encode())
    figures = _figures(tmp_path, "stream", str(tmp_path / "x.csv"), "--rate", "50", "--position", "waist")
    assert [a["at_s"] for a in figures["at"]] == pytest.approx([impact], abs=0.1)


def _chart(folder: Path, order: Callable[[list[str]], list[str]] = list, number: str = "{}") -> list[str]:
    rows = []
    for patient, pulse in ((1, 130), (2, 70)):
        for hour in range(30):
            signs = (("HR", pulse + hour % 3), ("RespRate", 28 if patient == 1 else 14), ("SysABP", 120))
            rows += [f"{number.format(patient)},{hour * 60},{name},{value}" for name, value in signs]
    (folder / "chart.csv").write_text("rid,min,p,v\n" + "\n".join(order(rows)) + "\n")
    (folder / "truth.csv").write_text("rid,died\n1,True\n2,False\n3,\n")
    return ["vitals", str(folder / "chart.csv"), "--truth", str(folder / "truth.csv")]


def test_the_order_of_a_charts_rows_does_not_matter(tmp_path: Path) -> None:
    """By sign instead of by time, at random, with numbers of patients that a table with gaps made of: the same."""
    plain = _figures(tmp_path, *_chart(tmp_path))
    assert (plain["patients_with_truth"], plain["died"], plain["auc_last_24h"]) == (2, 1, 1.0)
    assert plain["alarms"] > 0
    by_sign = _figures(tmp_path, *_chart(tmp_path, lambda rows: sorted(rows, key=lambda r: r.split(",")[2])))
    at_random = _figures(tmp_path, *_chart(tmp_path, lambda rows: random.Random(1).sample(rows, len(rows))))
    assert by_sign == at_random == _figures(tmp_path, *_chart(tmp_path, number="{}.0")) == plain


@pytest.mark.parametrize(
    ("rows", "truth", "words"),
    [
        ("1,0,HR,70\n", "1,dead\n", "died is 0 or 1"),
        ("1,0,HR,70\n", "7,1\n", "none of the patients"),
        ("1,1e18,HR,70\n", "1,1\n", "min is a time"),
        ("1,0,HR,70\n1,1e9,HR,70\n", "1,1\n", None),
    ],
)
def test_a_truth_that_fits_no_chart(
    tmp_path: Path, rows: str, truth: str, words: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said, not counted as nobody's death; a silence of centuries takes no longer than one of a day."""
    (tmp_path / "chart.csv").write_text("rid,min,p,v\n" + rows)
    (tmp_path / "truth.csv").write_text("rid,died\n" + truth)
    code = main(["vitals", str(tmp_path / "chart.csv"), "--truth", str(tmp_path / "truth.csv")])
    assert code == (0 if words is None else 2)
    assert words is None or words in capsys.readouterr().err


def test_scores_do_not_overwrite_what_they_are_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is anything written where there is nothing to score."""
    file, body = tmp_path / "in.csv", "timestamp,value\n1,1\n"
    file.write_text(body)
    assert main(["series", str(file), "--out", str(file)]) == 2
    assert file.read_text() == body
    assert main(["series", str(tmp_path / "none.csv"), "--out", str(tmp_path / "scores.csv")]) == 2
    assert not (tmp_path / "scores.csv").exists()
    assert "none.csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("1600000000", 1.6e9), ("1600000000000", 1.6e9), ("1600000000000000000", 1.6e9), ("2020-09-13 20:26:40", 1.6e9),
        ("2020-09-13T12:26:40Z", 1.6e9), ("2020-09-13T14:26:40+02:00", 1.6e9), (" 12 ", 12.0),
    ],
)  # fmt: skip
def test_moments(said: str, at: float) -> None:
    """Numbers of any usual unit; a date and time is of the zone that was asked for unless it says its own."""
    assert moment(Path("x"), 1, "t", said, ZoneInfo("Asia/Shanghai")) == pytest.approx(at)


@pytest.mark.parametrize("said", ["nan", "inf", "1e30", "0001-01-01", "soon", ""])
def test_what_is_no_time_is_refused(tmp_path: Path, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By file, line and column."""
    (tmp_path / "way.csv").write_text(f"t,lat,lon,accuracy\n{said},22.5,114.1,5\n")
    assert main(["track", str(tmp_path / "way.csv")]) == 2
    assert "way.csv:2: t is Unix seconds" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["track x.csv --time-zone", "routine x.csv --zone", "drift --zone"])
def test_a_zone_that_is_none_is_refused(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the option's name."""
    assert main([*command.split(), "Mars"]) == 2
    assert f"{command.split()[-1]}: there is no time zone 'Mars'" in capsys.readouterr().err


def _home(folder: Path, *rows: str) -> Path:
    (folder / "home.csv").write_text("start,end,sensor\n" + "".join(f"{row}\n" for row in rows))
    return folder / "home.csv"


def test_an_event_that_lasts_no_time_ends(tmp_path: Path) -> None:
    """Its end comes behind its start; an event that begins as another of the sensor ends is not ended by that."""
    day = "2020-01-01 10:0"
    path = _home(tmp_path, f"{day}5:00,{day}5:00,pir", f"{day}2:00,{day}4:00,pir", f"{day}0:00,{day}2:00,pir")
    home = load_home(path, ZoneInfo("UTC"))
    assert [reading.value for reading in home.readings] == [True, False, True, False, True, False]


def test_an_event_in_the_hour_that_summer_time_repeats(tmp_path: Path) -> None:
    """From ten to three until twenty past two, an hour later by the clock: half an hour."""
    path = _home(tmp_path, "2020-10-25 02:50:00,2020-10-25 02:20:00,pir")
    first, last = load_home(path, ZoneInfo("Europe/Madrid")).readings
    assert last.at - first.at == 1800


def test_a_wrong_year_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Instead of living through all the years between."""
    path = _home(tmp_path, "1970-01-01 00:00:00,1970-01-01 00:01:00,pir", "2020-01-01 00:00:00,2020-01-01 00:01:00,pir")
    assert main(["routine", str(path), "--quiet"]) == 2
    assert "a date must be wrong" in capsys.readouterr().err


@pytest.mark.parametrize("first_s", [0.0, 0.7, 1.7e9])
def test_stamps_that_do_not_begin_at_nought(tmp_path: Path, first_s: float) -> None:
    """The labels are by the trial's own clock, of which the first sample may come late; a clock of the world has its
    beginning taken off.
    """
    signals, rows = _trials()
    late = first_s if first_s < 10 else 0.0
    rows[0]["peak_t_s"] = f"{float(rows[0]['peak_t_s']) + late:.2f}"
    rows[1]["peak_t_s"] = f"{float(rows[1]['peak_t_s']) + late:.2f}"
    plain = _written(tmp_path, *_trials())
    impacts = [t.impact_s for t in load(Path(plain[1]), Path(plain[3])) if t.is_fall]
    stamps = np.concatenate([np.arange(len(s)) * 20 + round(first_s * 1000) for s in signals])
    found = _written(tmp_path, signals, rows, stamps=stamps)
    assert [t.impact_s for t in load(Path(found[1]), Path(found[3])) if t.is_fall] == pytest.approx(impacts, abs=0.021)


def test_a_flat_line_is_no_stillness(tmp_path: Path) -> None:
    """Padding at the end of a trial and trials of two rows are not what is joined between the others."""
    signals, rows = _trials()
    signals[2] = np.concatenate((signals[2], np.tile(signals[2][-1], (300, 1))))
    signals.append(signals[3][:2])
    rows.append(rows[3] | {"acc_n": 2})
    rows[2]["acc_n"] = len(signals[2])
    options = _written(tmp_path, signals, rows)
    pieces = still_pieces(load(Path(options[1]), Path(options[3])))
    assert [len(piece.acc) for piece in pieces] == [100, 100, 100, 100, 2]
    assert all(piece.acc.std() > 0 for piece in pieces)


def test_what_the_detector_cannot_use_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Recordings of ten samples a second are not silently recordings of falls that were missed."""
    signals, rows = _trials()
    slow = [signal[::5] for signal in signals]
    for row, signal in zip(rows, slow, strict=True):
        row |= {"acc_n": len(signal), "acc_fs_est": 10.0}
    figures = _figures(tmp_path, "falls", *_written(tmp_path, slow, rows))
    assert figures["hits"] == 0
    assert figures["detector_counts"]["unusable_rate"] == sum(-(-len(signal) // 5) for signal in slow)
    assert "unusable_rate" in capsys.readouterr().out
