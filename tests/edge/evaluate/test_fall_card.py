"""The model card says what the committed results say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.detectors.fall_features import NAMES
from edge.detectors.fall_model import MODELS, models_for
from edge.readings import BodyPosition, Sensitivity

_DOCS = Path(__file__).resolve().parents[3] / "docs"
_CARD = (_DOCS / "fall-model.md").read_text(encoding="utf-8")
_ROWS = [
    [cell.strip() for cell in line.strip("| \n").split("|")] for line in _CARD.splitlines() if line.startswith("|")
]


def _result(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((_DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
    return result


@pytest.mark.parametrize("row", [r for r in _ROWS if r[-1].startswith("`falls_")], ids=lambda row: row[0])
def test_figures_of_streams(row: list[str]) -> None:
    """Each row that names a results file has its figures."""
    found = _result(row[-1].strip("`"))
    low, high = found["sensitivity_interval"]
    assert row[1:-1] == [
        f"{found['sensitivity']:.3f} ({low:.3f} to {high:.3f})",
        f"{found['false_alarms_per_hour']:.2f}",
        f"{found['false_alarms_per_hour_elders']:.2f}",
        f"{found['latency_median_s']:.2f} / {found['latency_p95_s']:.2f} s",
    ]


def test_the_models_that_ship() -> None:
    """Their figures, sizes, and how sure they are at each step's threshold."""
    words, home = (" ".join(text.split()) for text in (_CARD, (_DOCS / "detectors" / "home.md").read_text("utf-8")))
    (waist,), (wrist,) = (models_for(position) for position in (BodyPosition.WAIST, BodyPosition.WRIST))
    assert f"measured by {len(NAMES)} figures" in words
    assert wrist.figures == len(NAMES), "all of them, as the card says"
    assert f"boosted ones over {waist.figures} figures at the waist" in words
    folder = _DOCS.parent / "edge" / "detectors" / MODELS
    sizes = [(folder / f"fall_{position}.npz").stat().st_size / 1000 for position in ("waist", "wrist")]
    assert f"fall_{{waist,wrist}}.npz`, {sizes[0]:.0f} and {sizes[1]:.0f} kB" in words
    steps = (Sensitivity.HIGH, Sensitivity.NORMAL, Sensitivity.LOW)
    sure = [", ".join(f"{model.confidence(model.thresholds[s]):.2f}" for s in steps) for model in (waist, wrist)]
    assert f"high, normal, low: waist {sure[0]}; wrist {sure[1]}" in home


def test_accuracy_by_trials() -> None:
    """As studies of staged falls publish it."""
    waist, wrist = (_result(f"falls_{position}")["accuracy"] for position in ("waist", "wrist"))
    assert f"waist {waist:.3f} and wrist {wrist:.3f}" in " ".join(_CARD.split())


def test_other_approaches() -> None:
    """The table of other approaches is that of the training's results."""
    rows = {row[0]: row[1:] for row in _ROWS}
    approaches = _result("falls_training_wrist")["approaches"]
    assert len(approaches) >= 4
    for name, shares in approaches.items():
        assert rows[name] == [f"{share:.3f}" for share in shares.values()]


def test_dropped_devices() -> None:
    """So is that of devices that fall alone."""
    waist, wrist = (_result(f"falls_dropped_{position}")["kinds"] for position in ("waist", "wrist"))
    rows = {row[0]: row[1:] for row in _ROWS}
    for kind in waist:
        assert rows[f"`{kind}`"][-2:] == [f"{of[kind]['share']:.1%}" for of in (waist, wrist)]


def test_power_cuts() -> None:
    """And what is said of power cuts, and of what is kept for them."""
    words = " ".join(_CARD.split())
    kept = [_result(f"falls_{position}")["kept_impacts_per_hour"] for position in ("waist", "wrist")]
    assert (
        f"Kept are {kept[0]:.0f} impacts in an hour of activities at the waist and {kept[1]:.0f} at the wrist" in words
    )
    cuts = [_result(f"falls_{position}_power_cut")["activities_with_power_cuts"] for position in ("waist", "wrist")]
    shares = [of["false_alarms_per_power_cut"] for of in cuts]
    assert f"{shares[0]:.1%} (waist) and {shares[1]:.1%} (wrist) gave a false alarm" in words
    years = [12 * k * 3.3 / 3600 * share for k, share in zip(kept, shares, strict=True)]
    assert f"that is {years[0]:.2f} and {years[1]:.2f} false alarms a year" in words
