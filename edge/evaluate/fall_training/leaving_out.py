"""Models for people they have not seen: everybody is left out once, in groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from edge.detectors.fall_model import FallModel, load_model
from edge.evaluate.fall_training.fit import Recipe, calibrated, fit, groups
from edge.evaluate.fall_training.table import Table
from edge.evaluate.recordings import Trial
from edge.evaluate.report import FormatError
from edge.readings import Sensitivity


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """The groups, the scores of the table's rows by trees that had not seen their subject, and a model a subject."""

    groups: list[set[str]]
    scores: NDArray[np.float64]
    models: dict[str, FallModel]


def leave_out(
    trials: Sequence[Trial],
    table: Table,
    training: Table,
    size: int,
    budget: Mapping[Sensitivity, float],
    seed: int,
) -> LeftOut:
    """Fit one model a group of `size` people, on all others. Its thresholds are set on the other groups' scores.

    (Those scores come from trees that may have seen this group; only the one number per step is set by them.)
    Raises FormatError if nobody would be left to train on.
    """
    left_out = groups(table.subject, size, seed)
    if len(left_out) < 2:
        raise FormatError(f"leaving out {size} people at a time leaves nobody to train on")
    scores = np.full(len(table.truth), np.nan)
    fitted = []
    for group in track(left_out, "people left out", transient=True):
        model = fit(training.rows(~np.isin(training.subject, list(group))), Recipe(), seed)
        here = np.isin(table.subject, list(group))
        scores[here] = model.scores(table.figures[here])
        fitted.append(model)
    models: dict[str, FallModel] = {}
    for group, model in zip(left_out, fitted, strict=True):
        rest = ~np.isin(table.subject, list(group))
        done = calibrated(model, table.rows(rest), scores[rest], hours_of(trials, group), budget)
        models |= dict.fromkeys(group, replace(done, about={"left_out": sorted(group)}))
    return LeftOut(left_out, scores, models)


def hours_of(trials: Sequence[Trial], without: set[str] | None = None) -> float:
    """Hours of activities (not falls), perhaps without some people."""
    return sum(t.duration_s for t in trials if not t.is_fall and t.subject not in (without or ())) / 3600


def save(models: Mapping[str, FallModel], folder: Path) -> None:
    """One file a group; each says whom it has not seen."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, model in enumerate({id(m): m for m in models.values()}.values()):
        model.save(folder / f"fold_{number:02d}.npz")


def load(folder: Path) -> dict[str, FallModel]:
    """The model of each subject that was left out. Raises FormatError."""
    models: dict[str, FallModel] = {}
    for path in sorted(folder.glob("fold_*.npz")):
        try:
            model = load_model(path)
            models |= dict.fromkeys(model.about["left_out"], model)
        except (ValueError, KeyError) as error:
            raise FormatError(f"{path}: no model of people left out ({error})") from None
    if not models:
        raise FormatError(f"{folder}: no models of people left out; train-falls --folds writes them")
    return models
