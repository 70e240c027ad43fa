"""Other kinds of models on the same impacts and people, to know what the chosen one is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from edge.evaluate.fall_training import simulated
from edge.evaluate.fall_training.fit import RECIPES, Recipe, budgeted, unseen
from edge.evaluate.fall_training.leaving_out import hours_of
from edge.evaluate.fall_training.table import FALL, LEFT_OUT, Table, found
from edge.evaluate.recordings import Trial

PER_HOUR = (3.0, 7.5, 15.0)
"""False alarms an hour of activities at which approaches are compared."""


def compared(
    trials: Sequence[Trial],
    training: Table,
    table: Table,
    left_out: Sequence[set[str]],
    seed: int,
) -> dict[str, dict[str, float]]:
    """Share of falls found by each approach where its false alarms keep to so many an hour."""
    hours = hours_of(trials)
    falls = sum(t.is_fall for t in trials)
    large = Recipe(trees=160, leaves=12, rate=0.06, share_of_figures=0.3)
    own = training.rows((training.weight == 1.0) & (training.subject != simulated.SUBJECT))
    scores = {
        "boosted trees": unseen(training, table, Recipe(), left_out, seed),
        "boosted trees, no simulated or supporting recordings": unseen(own, table, Recipe(), left_out, seed),
        "boosted trees, not augmented either": unseen(table, table, Recipe(), left_out, seed),
        "fewer, larger boosted trees": unseen(training, table, large, left_out, seed),
        "boosted and extra trees": unseen(training, table, RECIPES["both"], left_out, seed),
    }
    for name, make in track(_makers(seed).items(), "other approaches", transient=True):
        scores[name] = _unseen(make, training, table, left_out)
    return {
        name: {f"{h:g}": found(table, s, budgeted(table, s, h * hours)) / falls for h in PER_HOUR}
        for name, s in scores.items()
    }


def _makers(seed: int) -> dict[str, Callable[[], Any]]:
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    forest = {"n_estimators": 150, "min_samples_leaf": 3, "max_features": 0.3, "random_state": seed}
    return {
        "linear (logistic)": lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)),
        "random forest": lambda: RandomForestClassifier(**forest),
        "extra trees": lambda: ExtraTreesClassifier(**forest),
    }


def _unseen(
    make: Callable[[], Any], training: Table, table: Table, left_out: Sequence[set[str]]
) -> NDArray[np.float64]:
    scores = np.full(len(table.truth), np.nan)
    for group in left_out:
        here = np.isin(table.subject, list(group))
        rows = training.rows(~np.isin(training.subject, list(group)) & (training.truth != LEFT_OUT))
        model = make()
        last = model.steps[-1][0] + "__sample_weight" if hasattr(model, "steps") else "sample_weight"
        model.fit(rows.figures, rows.truth == FALL, **{last: rows.weight})
        scores[here] = model.predict_proba(table.figures[here])[:, 1]
    return scores
