"""`anju-evaluate train-falls`, `falls --leave-out` and `stream` on people made here."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.detectors.fall import FallDetector
from edge.detectors.fall_features import NAMES
from edge.detectors.fall_model import load_model, models_for
from edge.evaluate.cli import main
from edge.evaluate.fall_play import play
from edge.evaluate.fall_training.fit import BESIDE, RECIPES, fit, platt, reaching
from edge.evaluate.fall_training.table import Table, found
from edge.evaluate.joining import START, streams
from edge.evaluate.recordings import load
from edge.evaluate.report import FormatError
from edge.readings import BodyPosition, Sensitivity
from tests.edge.detectors import fall_physics as physics

_PEOPLE = 4


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options of a set of four people, each with four falls and four activities, all a little different."""
    folder = tmp_path_factory.mktemp("people")
    rng = np.random.default_rng(1)
    parts, rows, start = [], [], 0
    for person in range(_PEOPLE):
        for n in range(8):
            if n < 4:
                signal, impact = physics.fall(peak=float(rng.uniform(3, 7)))
                peak = f"{impact:.2f}"
            else:
                signal, peak = (
                    (physics.jumping, physics.sitting_down, physics.walking_on, physics.lying_down)[n - 4](),
                    "",
                )
            signal = signal + rng.normal(0, 0.02, signal.shape)
            parts.append(signal)
            rows.append((f"{person}-{n}", f"P{person}", f"A{n}", int(n < 4), start, len(signal), 50.0, peak))
            start += len(signal)
    np.savez(folder / "set.npz", acc=np.round(np.concatenate(parts) * 1000).astype(np.int16))
    with (folder / "set.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("trial", "subject", "activity", "is_fall", "acc_off", "acc_n", "acc_fs_est", "peak_t_s"))
        writer.writerows(rows)
    return ["--npz", str(folder / "set.npz"), "--index", str(folder / "set.csv"), "--position", "waist"]


def test_training_is_repeatable(people: list[str], tmp_path: Path) -> None:
    """The same seed gives the same bytes; the model keeps its thresholds, its recipe and its scores in the file."""
    for name, more in (("a", ["--compare"]), ("b", ["--folds", str(tmp_path / "folds")])):
        command = ["train-falls", *people, "--out", str(tmp_path / f"{name}.npz"), "--leave-out", "1"]
        assert main([*command, *more, "--augmented", "1", "--json", str(tmp_path / f"{name}.json")]) == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    figures = json.loads((tmp_path / "a.json").read_text())
    assert (figures["subjects"], figures["falls"]) == (_PEOPLE, 16)
    assert figures["steps"]["normal"]["sensitivity"] == 1.0
    assert {len(at) for at in figures["approaches"].values()} == {3}
    model = load_model(tmp_path / "a.npz")
    assert model.thresholds[Sensitivity.NORMAL] == figures["steps"]["normal"]["threshold"]
    assert model.about["seed"] == 0
    for judge in (["--model", str(tmp_path / "a.npz")], ["--folds", str(tmp_path / "folds")]):
        assert main(["falls", *people, "--join", *judge, "--json", str(tmp_path / "f.json")]) == 0
        assert json.loads((tmp_path / "f.json").read_text())["sensitivity"] >= 0.9


def test_people_left_out_are_judged_by_others(people: list[str], tmp_path: Path) -> None:
    """With --leave-out everybody is scored once, on the full stream."""
    out = tmp_path / "out.json"
    command = ["falls", *people, "--join", "--leave-out", "1", "--augmented", "0", "--json", str(out)]
    assert main(command) == 0
    figures = json.loads(out.read_text())
    assert (figures["subjects"], figures["falls"]) == (_PEOPLE, 16)
    assert figures["sensitivity"] >= 0.9
    assert 3.0 < figures["latency_median_s"] < 4.0


def test_nobody_left_to_train_on(people: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Leaving out everybody, judged and judges of the threshold, is refused."""
    assert main(["train-falls", *people, "--out", str(tmp_path / "m"), "--leave-out", "2", "--augmented", "0"]) == 2
    assert "leaves nobody" in capsys.readouterr().err


def _npy() -> bytes:
    """One array where a model has several."""
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def _said(about: NDArray[np.uint8], name: str, value: object) -> NDArray[np.uint8]:
    """A model's description with something else in it."""
    return np.frombuffer(json.dumps(json.loads(about.tobytes()) | {name: value}).encode(), dtype=np.uint8)


_MODEL = Path("edge/detectors/models/fall_waist.npz")
_BYTES = _MODEL.read_bytes()


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"no model at all", _npy(), _BYTES[:9000], _BYTES[:3000] + bytes(500) + _BYTES[3500:]]
)
def test_a_file_that_is_no_model(
    people: list[str], tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is refused by name."""
    (tmp_path / "m.npz").write_bytes(content)
    assert main(["falls", *people, "--model", str(tmp_path / "m.npz")]) == 2
    assert "m.npz" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("feature", lambda a: np.where(a == 0, 77, a).astype(np.uint8)),
        ("limit", lambda a: np.where(np.arange(len(a)) == 5, np.nan, a).astype(np.float32)),
        ("limit", lambda a: a[:-1]),
        ("left", lambda a: a + np.uint16(60_000)),
        ("left", lambda a: a.astype(np.uint32)),
        ("roots", lambda a: a[1:]),
        ("roots", lambda a: a[::-1]),
        ("roots", lambda a: a[:0]),
        ("about", lambda a: _said(a, "depth", None)),
        ("about", lambda a: _said(a, "thresholds", {"normal": 1.0})),
        ("about", lambda a: _said(a, "platt", [1.0])),
    ],
)
def test_a_damaged_model(tmp_path: Path, name: str, damage: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    """It is refused when it is read, not found out by a fall."""
    with np.load(_MODEL) as arrays:
        parts = dict(arrays)
    np.savez(tmp_path / "m.npz", **parts | {name: damage(parts[name])})
    with pytest.raises(ValueError, match="damaged"):
        load_model(tmp_path / "m.npz")


@pytest.mark.parametrize("position", [BodyPosition.WAIST, BodyPosition.WRIST])
def test_what_ships(position: BodyPosition) -> None:
    """Every position has a model of less than a megabyte, which says how it was made; no impacts give no scores."""
    (model,) = models_for(position)
    assert model in models_for(BodyPosition.UNKNOWN)
    assert sum(p.stat().st_size for p in Path("edge/detectors/models").iterdir()) < 1_000_000
    assert {"seed", "recipe", "augmented", "steps"} <= model.about.keys()
    assert model.scores(np.zeros((0, len(NAMES)))).shape == (0,)
    assert 0.0 <= model.confidence(-1e9) < 0.5 < model.confidence(1e9) <= 1.0


@pytest.mark.parametrize(("unit", "name"), [(1.0, "x.npz"), (1000.0, "x.npz"), (9.80665, "x.csv"), (1.0, "x.csv")])
def test_a_long_recording(tmp_path: Path, unit: float, name: str) -> None:
    """A fall in an unlabelled recording is one alarm at its moment, in any unit; lying in a drawer is no wear."""
    fall, impact = physics.fall()
    drawer = np.tile([0.0, 0.0, 1.0], (50 * 3600, 1)) if name == "x.npz" else np.zeros((0, 3))
    acc = np.concatenate((fall, physics.walking(50, 30), drawer)) * unit
    file = tmp_path / name
    if name == "x.npz":
        np.savez(file, acc=acc)
    else:
        np.savetxt(file, acc, delimiter=",", header="x,y,z", comments="", fmt="%.4f")
    out = tmp_path / "out.json"
    assert main(["stream", str(file), "--rate", "50", "--position", "waist", "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert [a["at_s"] for a in figures["at"]] == pytest.approx([impact], abs=0.1)
    assert figures["hours"] == pytest.approx(len(acc) / 50 / 3600)
    assert figures["hours_worn"] < 0.6
    assert figures["alarms_per_day_of_wear"] == pytest.approx(24 / figures["hours_worn"])


def test_a_recording_in_no_known_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused, not scored."""
    np.savez(tmp_path / "x.npz", acc=np.ones((100, 3)) * 300)
    assert main(["stream", str(tmp_path / "x.npz"), "--rate", "50", "--position", "wrist"]) == 2
    assert "neither g" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "position"), [("sisfall_50hz_dev", BodyPosition.WAIST), ("weda_fall_dev", BodyPosition.WRIST)]
)
def test_a_long_recording_of_people(recordings: Path, tmp_path: Path, name: str, position: BodyPosition) -> None:
    """Trials joined to one unlabelled recording raise the same alarms, at the same moments, as `falls` counts."""
    set_ = load(recordings / "falls" / f"{name}.npz", recordings / "falls" / f"{name}_index.csv")
    own = [t for t in set_ if t.subject == set_[0].subject]
    rate = round(float(np.median([t.rate_hz for t in own if t.is_fall])))
    trials = [t for fell in (True, False) for t in [t for t in own if t.is_fall is fell][:8]]
    assert {t.is_fall for t in trials} == {True, False}
    even = [replace(t, rate_hz=float(rate), holes=()) for t in trials]
    (joined,) = streams(even, joined=True, seed=3)
    heard = play(joined, partial(FallDetector, "recording", position)).alarms
    np.savez(tmp_path / "long.npz", acc=np.concatenate([piece.acc for piece in joined.pieces]))
    out = tmp_path / "out.json"
    command = ["stream", str(tmp_path / "long.npz"), "--rate", str(rate), "--position", position.value, "--json"]
    assert main([*command, str(out)]) == 0
    figures = json.loads(out.read_text())
    assert len(heard) == figures["alarms"] >= sum(t.is_fall for t in trials) * 0.7
    late = [at - START - alarm["at_s"] for at, alarm in zip(heard, figures["at"], strict=True)]
    assert 3.2 < min(late) <= max(late) < 4.4
    assert figures["hours_worn"] == pytest.approx(figures["hours"])


def test_a_recording_with_holes(tmp_path: Path) -> None:
    """A half hour of nothing is no wear and no alarm, a third of a second of nothing hides no fall."""
    fall, impact = physics.fall()
    acc = np.concatenate((fall, np.full((50 * 3600, 3), np.nan), physics.walking(50, 20), fall))
    acc[round((impact + 1) * 50) : round((impact + 1.3) * 50)] = np.inf
    np.savez(tmp_path / "x.npz", acc=acc)
    out = tmp_path / "out.json"
    assert main(["stream", str(tmp_path / "x.npz"), "--rate", "50", "--position", "waist", "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    again = len(acc) / 50 - len(fall) / 50 + impact
    assert [a["at_s"] for a in figures["at"]] == pytest.approx([impact, again], abs=0.1)
    assert figures["hours_worn"] < 0.6


@pytest.mark.parametrize(("share", "least"), [(1.0, 1.0), (0.75, 2.0), (0.5, 3.0), (0.51, 2.0)])
def test_a_share_of_falls_sets_the_threshold(share: float, least: float) -> None:
    """The highest threshold that still finds it; of several impacts of one fall the surest counts."""
    n = 6
    falls = np.array([0, 0, 1, 2, 3, -1])
    scores = np.array([-5.0, 1.0, 2.0, 3.0, 4.0, 9.0])
    table = Table(
        np.zeros((n, len(NAMES))), np.full(n, "P"), (falls >= 0).astype(np.int64), np.linspace(0.0, 300.0, n),
        np.zeros(n, dtype=np.int64), falls, np.ones(n),
    )  # fmt: skip
    threshold = reaching(table, scores, share)
    assert least - 0.01 < threshold < least
    assert found(table, scores, threshold) >= share * 4
    with pytest.raises(FormatError, match="no fall"):
        reaching(table.rows(falls < 0), scores[falls < 0], share)


def test_confidence_of_scores_that_spread_wide() -> None:
    """However far the scores lie apart, the fit does not run away: it is 0.5 where as many are falls as are not."""
    chance = np.random.default_rng(5)
    scores = chance.normal(0.0, 20.0, 3000)
    truth = chance.random(3000) < 1 / (1 + np.exp(-0.3 * (scores - 5.0)))
    slope, intercept = platt(scores, truth)
    assert slope == pytest.approx(0.3, rel=0.1)
    assert -intercept / slope == pytest.approx(5.0, abs=0.5)


def test_extra_trees_are_kept_as_they_were_fitted() -> None:
    """The nodes in a model's form give the share of falls that the forest itself gives."""
    from sklearn.ensemble import ExtraTreesClassifier

    rng = np.random.default_rng(3)
    figures = rng.normal(size=(600, len(NAMES))).astype(np.float32)
    truth = (figures[:, 0] + rng.normal(0, 0.5, 600)) > 0.5
    table = Table(
        figures.astype(np.float64), np.full(600, "a"), truth.astype(np.int64), np.arange(600.0), np.zeros(600, int),
        np.full(600, -1), np.ones(600),
    )  # fmt: skip
    recipe = replace(RECIPES["extra"], trees=20)
    forest = ExtraTreesClassifier(
        n_estimators=20, max_leaf_nodes=recipe.leaves, min_samples_leaf=3, max_features=0.3, random_state=7
    ).fit(figures, truth)
    model = fit(table, recipe, 7)
    assert model.scores(table.figures) == pytest.approx(forest.predict_proba(figures)[:, 1], abs=1e-5)
    assert "kind" in recipe.described()
    assert "kind" not in RECIPES["boosted"].described()


def test_both_kinds_of_trees_say_their_part() -> None:
    """The score is that of the boosted trees and, on their scale, that of the extra trees; the recipe names both."""
    rng = np.random.default_rng(5)
    figures = rng.normal(size=(400, len(NAMES)))
    truth = (figures[:, 0] + rng.normal(0, 0.5, 400) > 0).astype(np.int64)
    table = Table(
        figures, np.full(400, "a"), truth, np.arange(400.0), np.zeros(400, int), np.full(400, -1), np.ones(400)
    )
    boosted, extra, both = (
        fit(table, recipe, 7).scores(figures)
        for recipe in (replace(RECIPES["boosted"], figures=len(NAMES)), RECIPES["extra"], RECIPES["both"])
    )
    assert both == pytest.approx(boosted + BESIDE * extra, abs=1e-4)
    assert RECIPES["both"].described()["extra"] == RECIPES["extra"].described()


@pytest.mark.parametrize("used", [3, len(NAMES)])
def test_a_model_of_the_first_figures_only(tmp_path: Path, used: int) -> None:
    """What the others are makes no difference to it, also once it was saved; its file names those it uses."""
    rng = np.random.default_rng(4)
    figures = rng.normal(size=(400, len(NAMES)))
    truth = (figures[:, 0] + figures[:, -1] > 0).astype(np.int64)
    table = Table(
        figures, np.full(400, "a"), truth, np.arange(400.0), np.zeros(400, int), np.full(400, -1), np.ones(400)
    )
    fit(table, replace(RECIPES["boosted"], trees=20, figures=used), 0).save(tmp_path / "m.npz")
    model = load_model(tmp_path / "m.npz")
    other = figures.copy()
    other[:, -1] = 9.0
    assert (model.scores(other) == model.scores(figures)).all() == (used == 3)
    assert model.figures == used
    assert model.scores(figures)[truth == 1].mean() > model.scores(figures)[truth == 0].mean()


def test_more_devices_put_down(people: list[str], tmp_path: Path) -> None:
    """`--put-down` gives more rows to train on, and the model says so."""
    rows = {}
    for put_down in ("0", "4"):
        out, figures = tmp_path / f"{put_down}.npz", tmp_path / f"{put_down}.json"
        command = ["train-falls", *people, "--leave-out", "1", "--augmented", "1", "--put-down", put_down]
        assert main([*command, "--out", str(out), "--json", str(figures)]) == 0
        rows[put_down] = json.loads(figures.read_text())["training_rows"]
        assert load_model(out).about.get("put_down") == (4 if put_down == "4" else None)
    assert rows["4"] > rows["0"] + _PEOPLE * 8 / 4
