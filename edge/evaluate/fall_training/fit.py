"""Trees fitted on a table of impacts, thresholds set on people they have not seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.detectors.fall import REFRACTORY_S
from edge.detectors.fall_features import NAMES
from edge.detectors.fall_model import LEAF, FallModel
from edge.evaluate.fall_scoring import ONE_ALARM_S
from edge.evaluate.fall_training.forest import extra_trees
from edge.evaluate.fall_training.table import FALL, LEFT_OUT, NO_FALL, Table
from edge.evaluate.report import FormatError
from edge.readings import Sensitivity


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the trees are grown with: small ones, many, each split choosing among few figures. `kind` is "boosted",
    "extra" (then `rate` and `l2` say nothing) or "both": boosted as this says, and RECIPES["extra"] beside them.
    """

    trees: int = 300
    leaves: int = 6
    rate: float = 0.05
    least_rows: int = 15
    l2: float = 3.0
    share_of_figures: float = 0.2
    kind: str = "boosted"
    figures: int = 42
    """How many of the figures are used, from the first."""

    def described(self) -> dict[str, Any]:
        """As it stands in model files and results."""
        usual = Recipe()
        said = {k: v for k, v in asdict(self).items() if k not in ("kind", "figures") or v != getattr(usual, k)}
        return said | ({"extra": RECIPES["extra"].described()} if self.kind == "both" else {})


RECIPES: dict[str, Recipe] = {
    "boosted": Recipe(),
    "extra": Recipe(trees=150, leaves=300, least_rows=3, share_of_figures=0.3, kind="extra", figures=len(NAMES)),
    "both": Recipe(kind="both", figures=len(NAMES)),
}
BESIDE = 8.0
"""With "both", the share of falls that extra trees give (0 to 1) counts as so many logits of the boosted ones, whose
scores spread about as far. Own choice, nothing else was tried."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What sets a threshold: at most so many false alarms an hour, or a share of falls to be found.

    Where people left out give two or three false alarms in all, their number cannot set it: one more or less moves it
    far. The share can, as falls are many there.
    """

    per_hour: float | None = None
    found: float | None = None


def fit(table: Table, recipe: Recipe, seed: int) -> FallModel:
    """Trees of the rows; thresholds are still 0. Raises FormatError without scikit-learn or without falls."""
    if find_spec("sklearn") is None:
        raise FormatError("training wants the extra [train] (scikit-learn)")
    table = table.rows(table.truth != LEFT_OUT)
    truth = table.truth == FALL
    if truth.all() or not truth.any():
        raise FormatError("training wants falls and other impacts; these recordings have only one of them")
    figures = table.figures[:, : recipe.figures].astype(np.float32)
    trees: list[Any] = []
    base = 0.0
    if recipe.kind != "extra":
        trees, base = _boosted(figures, truth, table.weight, recipe, seed)
    if recipe.kind != "boosted":
        trees += _extra(figures, truth, table.weight, recipe, seed)
    return _model(trees, base, recipe.figures)


def _boosted(
    figures: NDArray[np.float32], truth: NDArray[np.bool_], weight: NDArray[np.float64], recipe: Recipe, seed: int
) -> tuple[list[Any], float]:
    """The nodes of each tree, and what is added to their sum: a logit."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    trees = HistGradientBoostingClassifier(
        max_iter=recipe.trees,
        learning_rate=recipe.rate,
        max_leaf_nodes=recipe.leaves,
        min_samples_leaf=recipe.least_rows,
        l2_regularization=recipe.l2,
        max_features=recipe.share_of_figures,
        early_stopping=False,
        random_state=seed,
    )
    with threadpool_limits(1):  # threads that wait for each other on a busy machine take ten times as long
        fitted = trees.fit(figures, truth, sample_weight=weight)
    return [predictors[0].nodes for predictors in fitted._predictors], float(fitted._baseline_prediction.ravel()[0])


def _extra(
    figures: NDArray[np.float32], truth: NDArray[np.bool_], weight: NDArray[np.float64], recipe: Recipe, seed: int
) -> list[Any]:
    """The nodes of each extra tree; beside boosted ones they count for more."""
    own = recipe if recipe.kind == "extra" else RECIPES["extra"]
    trees = extra_trees(
        figures,
        truth,
        weight,
        trees=own.trees,
        leaves=own.leaves,
        least_rows=own.least_rows,
        share_of_figures=own.share_of_figures,
        seed=seed,
    )
    if recipe.kind == "both":
        for nodes in trees:
            nodes["value"] *= BESIDE
    return trees


def _model(trees: Sequence[Any], base: float, figures: int) -> FallModel:
    """The nodes of all trees in one row, each tree breadth first: so the two ways on from a node are neighbours."""
    features: list[NDArray[np.uint8]] = []
    limits: list[NDArray[np.float32]] = []
    lefts: list[NDArray[np.uint16]] = []
    roots = np.cumsum([0] + [len(nodes) for nodes in trees])
    for nodes in trees:
        order, left = _breadth_first(nodes)
        ordered = nodes[order]
        leaf = ordered["is_leaf"].astype(bool)
        features.append(np.where(leaf, LEAF, ordered["feature_idx"]).astype(np.uint8))
        limits.append(np.where(leaf, ordered["value"].astype(np.float32), _not_above(ordered["num_threshold"])))
        lefts.append(left)
    return FallModel(
        feature=np.concatenate(features),
        limit=np.concatenate(limits),
        left=np.concatenate(lefts),
        roots=roots[:-1].astype(np.uint32),
        depth=max(int(nodes["depth"].max()) for nodes in trees),
        base=base,
        thresholds=dict.fromkeys(Sensitivity, 0.0),
        figures=figures,
    )


def _breadth_first(nodes: NDArray[Any]) -> tuple[list[int], NDArray[np.uint16]]:
    """The nodes in that order, and for each where its left child stands in it (a leaf: itself)."""
    order, left = [0], []
    for place in range(len(nodes)):
        node = nodes[order[place]]
        if node["is_leaf"]:
            left.append(place)
        else:
            left.append(len(order))
            order += [int(node["left"]), int(node["right"])]
    return order, np.array(left, dtype=np.uint16)


def _not_above(limits: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest single-precision number that does not exceed each limit, so that rounding moves nobody across."""
    single = limits.astype(np.float32)
    return np.where(single.astype(np.float64) > limits, np.nextafter(single, np.float32(-np.inf)), single)


def groups(subjects: Iterable[str], size: int, seed: int) -> list[set[str]]:
    """The subjects in random groups of `size` (the last may be smaller): each is left out in turn."""
    names = sorted(set(subjects))
    order = np.random.default_rng([seed, 0x6E0]).permutation(len(names))
    shuffled = [names[i] for i in order]
    return [set(shuffled[i : i + size]) for i in range(0, len(names), size)]


def unseen(train: Table, test: Table, recipe: Recipe, left_out: Sequence[set[str]], seed: int) -> NDArray[np.float64]:
    """Scores of the rows of `test`, each by trees that never saw its subject."""
    scores = np.full(len(test.truth), np.nan)
    for group in left_out:
        here = np.isin(test.subject, list(group))
        if here.any():
            model = fit(train.rows(~np.isin(train.subject, list(group))), recipe, seed)
            scores[here] = model.scores(test.figures[here])
    return scores


def false_alarms(table: Table, scores: NDArray[np.float64], threshold: float) -> int:
    """As fall_scoring counts them, with the detector's own pause after an alarm."""
    count = 0
    for stream in np.unique(table.stream):
        rows = np.flatnonzero((table.stream == stream) & (scores >= threshold))
        quiet = counted = -np.inf
        for row in rows[np.argsort(table.alarm_at[rows], kind="stable")]:
            at = table.alarm_at[row]
            if at < quiet:
                continue
            quiet = at + REFRACTORY_S
            if table.truth[row] == NO_FALL and at - counted >= ONE_ALARM_S:
                counted = at
                count += 1
    return count


def budgeted(table: Table, scores: NDArray[np.float64], most: float) -> float:
    """The lowest threshold from which on no higher one gives more than `most` false alarms.

    A lower threshold can give fewer by chance, where one alarm hides the next; such a gap is not used.
    """
    candidates = np.unique(np.quantile(scores, np.linspace(0.0, 1.0, 800)))
    for at in range(len(candidates) - 1, -1, -1):
        if false_alarms(table, scores, float(candidates[at])) > most:
            return float(candidates[min(at + 1, len(candidates) - 1)])
    return float(candidates[0])


def calibrated(
    model: FallModel, table: Table, scores: NDArray[np.float64], hours: float, aims: Mapping[Sensitivity, Aim]
) -> FallModel:
    """The model with, for each step, the threshold that its aim asks for on `scores` of people the trees had not
    seen: the lowest that keeps to so many false alarms an hour of activities, or the highest that finds the share of
    falls; and with confidences fitted on the same (Platt).
    """
    thresholds = {step: round(_threshold(table, scores, hours, aim), 4) for step, aim in aims.items()}
    used = table.truth != LEFT_OUT
    return replace(model, thresholds=thresholds, platt=platt(scores[used], table.truth[used] == FALL))


def _threshold(table: Table, scores: NDArray[np.float64], hours: float, aim: Aim) -> float:
    if aim.per_hour is not None:
        return budgeted(table, scores, aim.per_hour * hours)
    return reaching(table, scores, aim.found or 0.0)


def reaching(table: Table, scores: NDArray[np.float64], share: float) -> float:
    """The highest threshold that finds so many of the falls that have an impact at all. Raises FormatError if none
    has.
    """
    best: dict[tuple[int, int], float] = {}
    for row in np.flatnonzero(table.fall >= 0):
        key = (int(table.stream[row]), int(table.fall[row]))
        best[key] = max(best.get(key, -np.inf), float(scores[row]))
    if not best:
        raise FormatError("no fall of the people that set the threshold has an impact; more of them must be left out")
    ranked = sorted(best.values(), reverse=True)
    return ranked[max(0, int(np.ceil(share * len(ranked))) - 1)] - 1e-4


def platt(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of the logistic of the scores, with smoothed targets (Platt 1999): every row counts as both,
    by its target.
    """
    from sklearn.linear_model import LogisticRegression

    yes, no = int(truth.sum()), int((~truth).sum())
    target = np.where(truth, (yes + 1) / (yes + 2), 1 / (no + 2))
    centre, spread = float(scores.mean()), float(scores.std()) or 1.0
    twice, is_fall = np.tile((scores - centre) / spread, 2)[:, None], np.repeat([True, False], len(scores))
    logistic = LogisticRegression(C=1e6, tol=1e-9, max_iter=1000)
    logistic.fit(twice, is_fall, np.concatenate((target, 1 - target)))
    slope = float(logistic.coef_[0, 0]) / spread
    return round(slope, 4), round(float(logistic.intercept_[0]) - slope * centre, 4)
