"""Extremely randomised trees (Geurts et al. 2006) in the form in which boosted ones are kept, to ship or to compare."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_NODE = np.dtype(
    [
        ("is_leaf", "u1"),
        ("feature_idx", "i8"),
        ("num_threshold", "f8"),
        ("left", "i8"),
        ("right", "i8"),
        ("value", "f8"),
        ("depth", "i8"),
    ]
)


def extra_trees(
    figures: NDArray[np.float32],
    truth: NDArray[np.bool_],
    weight: NDArray[np.float64],
    *,
    trees: int,
    leaves: int,
    least_rows: int,
    share_of_figures: float,
    seed: int,
) -> list[NDArray[Any]]:
    """The nodes of each tree; the values of the leaves reached add up to the share of falls."""
    from sklearn.ensemble import ExtraTreesClassifier

    forest = ExtraTreesClassifier(
        n_estimators=trees,
        max_leaf_nodes=leaves,
        min_samples_leaf=least_rows,
        max_features=share_of_figures,
        random_state=seed,
    )
    forest.fit(figures, truth, sample_weight=weight)
    return [_nodes(one.tree_, trees) for one in forest.estimators_]


def _nodes(tree: Any, trees: int) -> NDArray[Any]:
    nodes = np.zeros(tree.node_count, dtype=_NODE)
    counts = tree.value[:, 0, :]
    nodes["is_leaf"] = tree.children_left < 0
    nodes["feature_idx"], nodes["num_threshold"] = tree.feature, tree.threshold
    nodes["left"], nodes["right"] = tree.children_left, tree.children_right
    nodes["value"] = counts[:, 1] / counts.sum(axis=1) / trees
    nodes["depth"] = tree.max_depth
    return nodes
