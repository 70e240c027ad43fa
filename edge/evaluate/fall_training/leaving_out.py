"""Models for people they have not seen: everybody is left out once, in groups."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from edge.detectors.fall_model import FallModel, load_model
from edge.evaluate.fall_training.fit import Aim, Recipe, calibrated, fit, groups
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
    aims: Mapping[Sensitivity, Aim],
    seed: int,
    recipe: Recipe,
) -> LeftOut:
    """Fit one model a group of `size` people, on all others; neither its trees nor its thresholds know the group.

    The thresholds are set on the other groups' scores by trees that know neither those nor this group: one more fit
    for every two groups. `scores` are those by which the model of everybody is calibrated.
    Raises FormatError if nobody would be left to train on.
    """
    left_out = groups(table.subject, size, seed)
    if len(left_out) < 3:
        raise FormatError(f"leaving out {size} people at a time, and another {size}, leaves nobody to train on")

    def without(*which: set[str]) -> FallModel:
        return fit(training.rows(~np.isin(training.subject, list(set[str]().union(*which)))), recipe, seed)

    rows = [np.isin(table.subject, list(group)) for group in left_out]
    inner = np.full((len(left_out), len(table.truth)), np.nan)
    pairs = list(itertools.combinations(range(len(left_out)), 2))
    for i, j in track(pairs, "thresholds of people left out", transient=True):
        model = without(left_out[i], left_out[j])
        inner[i, rows[j]] = model.scores(table.figures[rows[j]])
        inner[j, rows[i]] = model.scores(table.figures[rows[i]])
    scores = np.full(len(table.truth), np.nan)
    models: dict[str, FallModel] = {}
    for own, group, here in track(list(zip(inner, left_out, rows, strict=True)), "people left out", transient=True):
        model = without(group)
        scores[here] = model.scores(table.figures[here])
        done = calibrated(model, table.rows(~here), own[~here], hours_of(trials, group), aims)
        models |= dict.fromkeys(group, replace(done, about={"left_out": sorted(group)}))
    return LeftOut(left_out, scores, models)


def hours_of(trials: Sequence[Trial], without: set[str] | None = None) -> float:
    """Hours of activities (not falls), perhaps without some people."""
    return sum(t.recorded_s for t in trials if not t.is_fall and t.subject not in (without or ())) / 3600


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
