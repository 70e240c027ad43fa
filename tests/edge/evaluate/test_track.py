"""`anju-evaluate track`: figures, and errors that name the place."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from edge.detectors.location.wandering import Episode
from edge.evaluate.cli import main
from edge.evaluate.track_truth import Walk, scored_walks
from tests.edge.detectors.location.test_walks import WAYS
from tests.edge.detectors.location.walks import HOME, Receiver, mixed_day, received, rest, walk

_FENCE = f"{HOME.lat},{HOME.lon},200"


def _file(path: Path, truth: bool = True) -> Path:
    way = rest(walk([(0.0, 0.0), (500.0, 0.0), (0.0, 0.0)], 1.0, pause_s=300), 600)
    lines = ["t,lat,lon,accuracy" + ",outside" * truth]
    seen = received(way, Receiver(), random.Random(1))
    lines += [f"{s.at},{s.lat},{s.lon},{s.accuracy}" + f",{int(abs(s.truth[0]) > 200)}" * truth for s in seen]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_figures(tmp_path: Path) -> None:
    """One exit, found in time, and the same by a polygon and a truth file; a run repeats itself."""
    out = tmp_path / "out.json"
    assert main(["track", str(_file(tmp_path / "way.csv")), "--fence", _FENCE, "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert (figures["exits"], figures["exits_found"], figures["false_exits"], figures["recall"]) == (1, 1, 0, 1.0)
    assert 30 <= figures["delay_median_s"] <= 120
    assert len(figures["returns"]) == 1
    again = tmp_path / "again.json"
    assert main(["track", str(tmp_path / "way.csv"), "--fence", _FENCE, "--json", str(again)]) == 0
    assert again.read_text() == out.read_text()
    square = [[HOME.lon + a * 0.002, HOME.lat + b * 0.002] for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))]
    (tmp_path / "f.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [square]}))
    (tmp_path / "truth.csv").write_text(f"start,end\n{figures['exit_times'][0]['at'] - 100},9999999999\n")
    arguments = [str(_file(tmp_path / "no_truth.csv", truth=False)), "--fence", str(tmp_path / "f.geojson")]
    assert main(["track", *arguments, "--truth", str(tmp_path / "truth.csv"), "--json", str(out)]) == 0
    assert json.loads(out.read_text())["exits_found"] == 1


def test_wandering_against_a_truth_file(tmp_path: Path) -> None:
    """A day with laps, pacing, a random walk, an errand and a direct way: what is found, its kind, and how soon."""
    way, walks = mixed_day(3, WAYS, ("lapping", "pacing", "random"))
    lines = ["t,lat,lon,accuracy"]
    lines += [f"{s.at},{s.lat},{s.lon},{s.accuracy}" for s in received(way, Receiver(5, 8), random.Random(3))]
    (tmp_path / "day.csv").write_text("\n".join(lines) + "\n")
    truth = ["start,end,what", *(f"{start},{end},{kind}" for start, end, kind in walks)]
    (tmp_path / "truth.csv").write_text("\n".join(truth) + "\n")
    out, arguments = tmp_path / "out.json", ["--truth", str(tmp_path / "truth.csv"), "--wandering", "always"]
    assert main(["track", str(tmp_path / "day.csv"), *arguments, "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert (figures["true_wanderings"], figures["wanderings_found"], figures["false_wanderings"]) == (3, 3, 0)
    assert figures["wandering_pattern_agreement"] >= 0.6
    assert 300 <= figures["wandering_delay_median_s"] <= 900
    assert "true_exits" not in figures
    (tmp_path / "truth.csv").write_text("start,end,what\n1,2,dancing\n")
    assert main(["track", str(tmp_path / "day.csv"), *arguments]) == 2


def test_an_episode_that_is_in_no_truth_is_false() -> None:
    """One overlaps, one does not; a walk that nothing overlaps is missed."""
    episodes = [Episode(0, 100, Counter(pacing=2)), Episode(900, 950, Counter(lapping=1))]
    figures = scored_walks(episodes, [60.0], [Walk(50, 80, "lapping"), Walk(300, 400, "wandering")], 2.0)
    assert (figures["wanderings_found"], figures["false_wanderings"]) == (1, 1)
    assert (figures["wandering_recall"], figures["wandering_precision"]) == (0.5, 0.5)
    assert (figures["wandering_pattern_agreement"], figures["false_wanderings_per_hour"]) == (0.0, 0.5)
    assert figures["wandering_delay_median_s"] == 10


@pytest.mark.parametrize(
    ("body", "fence", "words"),
    [
        ("t,lat,lon\n1,2,3\n", _FENCE, "no column accuracy"),
        ("t,lat,lon,accuracy\n", _FENCE, "no rows"),
        ("t,lat,lon,accuracy\n1,x,3,4\n", _FENCE, ":2: lat is a number"),
        ("t,lat,lon,accuracy\n1,114.1,22.5,4\n", _FENCE, ":2: lat is in degrees"),
        ("t,lat,lon,accuracy\nnoon,22.5,114.1,4\n", _FENCE, ":2: t is Unix seconds"),
        ("t,lat,lon,accuracy\n1,22.5,114.1,4\n", "nowhere", "neither LAT,LON,RADIUS_M nor a file"),
        ("t,lat,lon,accuracy\n1,22.5,114.1,4\n", "22.5,114.1,-3", "radius_m is 10"),
    ],
)
def test_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str, fence: str, words: str) -> None:
    """Exit code 2 and one line that names file and place."""
    path = tmp_path / "way.csv"
    path.write_text(body, encoding="utf-8")
    assert main(["track", str(path), "--fence", fence]) == 2
    assert words in capsys.readouterr().err
