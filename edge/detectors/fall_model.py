"""How likely an impact was a fall: trees over fall_features, kept as plain arrays and walked with numpy.

A model file (NPZ, made by `anju-evaluate train-falls`) holds the nodes of all trees in one row of arrays: a node with
`feature` f goes on to `left` (counted from its tree's root) where the figure is at most `limit`, else to the node after
that. A leaf has the feature LEAF, points at itself, and its `limit` is its value. The score is the sum of the values of
the leaves reached, plus `base`; `confidence` of it is calibrated (Platt 1999) on people the trees had not seen. `about`
is JSON: names of the figures, thresholds of the three steps, data, command and seed.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.detectors.fall_features import NAMES
from edge.readings import BodyPosition, Sensitivity

FORMAT: Final = 3
LEAF: Final = 255
MODELS: Final = "models"


@dataclass(frozen=True, slots=True, eq=False)
class FallModel:
    """See the module's text; a model may have 90,000 nodes, so they are kept narrow. `thresholds` are scores by
    sensitivity, `platt` is (slope, intercept); of NAMES the first `figures` are used.
    """

    feature: NDArray[np.uint8]
    limit: NDArray[np.float32]
    left: NDArray[np.uint16]
    roots: NDArray[np.uint32]
    depth: int
    base: float
    thresholds: dict[Sensitivity, float]
    platt: tuple[float, float] = (1.0, 0.0)
    figures: int = len(NAMES)
    about: dict[str, Any] = field(default_factory=dict)

    def scores(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores of feature rows, shape (n, len(NAMES)); no rows give no scores."""
        rows = rows.reshape(-1, len(NAMES))
        single = np.full((len(rows), LEAF + 1), -np.inf, dtype=np.float32)
        single[:, : len(NAMES)] = rows
        nodes = np.broadcast_to(self.roots, (len(rows), len(self.roots)))
        which = np.arange(len(rows))[:, None]
        for _ in range(self.depth):
            above = single[which, self.feature[nodes]] > self.limit[nodes]
            nodes = self.roots + self.left[nodes] + above
        result: NDArray[np.float64] = self.limit[nodes].sum(axis=1, dtype=np.float64) + self.base
        return result

    def score(self, figures: NDArray[np.float64]) -> float:
        """Score of one impact."""
        return float(self.scores(figures[None, :])[0])

    def confidence(self, score: float) -> float:
        """Between 0 and 1."""
        slope, intercept = self.platt
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, slope * score + intercept))))

    def save(self, path: Path) -> None:
        """Write the file; the same model gives the same bytes."""
        about = self.about | {
            "format": FORMAT,
            "features": list(NAMES[: self.figures]),
            "base": self.base,
            "depth": self.depth,
            "thresholds": {str(k): v for k, v in self.thresholds.items()},
            "platt": list(self.platt),
        }
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                feature=self.feature,
                limit=self.limit,
                left=self.left,
                roots=self.roots,
                about=np.frombuffer(json.dumps(about, sort_keys=True).encode(), dtype=np.uint8),
            )


def load_model(path: Path) -> FallModel:
    """Read a model file. Raises ValueError if it is none, or is of other figures than this software makes; OSError."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            arrays = {name: loaded[name] for name in ("about", "feature", "limit", "left", "roots")}
        about = dict(json.loads(arrays.pop("about").tobytes()))
    except (KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, ValueError) as error:
        raise ValueError(f"{path}: no model of falls ({error})") from None
    names = about.get("features")
    if about.get("format") != FORMAT or not names or names != list(NAMES[: len(names)]):
        raise ValueError(f"{path}: a model of other figures than this software measures; train it anew")
    if not _sound(len(names), **arrays):
        raise ValueError(f"{path}: a damaged model of falls: its nodes do not fit together")
    try:
        return FallModel(
            **arrays,
            depth=int(about["depth"]),
            base=float(about["base"]),
            thresholds={step: float(about["thresholds"][step]) for step in Sensitivity},
            platt=(float(about["platt"][0]), float(about["platt"][1])),
            figures=len(names),
            about=about,
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: a damaged model of falls: its description lacks something ({error!r})") from None


def _sound(figures: int, feature: NDArray[Any], limit: NDArray[Any], left: NDArray[Any], roots: NDArray[Any]) -> bool:
    """Whether every way through the trees stays in its tree: a damaged file must not be found out by a fall."""
    n = len(feature)
    kinds = [array.dtype for array in (feature, limit, left, roots)]
    if kinds != [np.uint8, np.float32, np.uint16, np.uint32] or not len(limit) == len(left) == n or len(roots) == 0:
        return False
    sizes = np.append(roots[1:], n).astype(np.int64) - roots
    if roots[0] != 0 or (sizes <= 0).any():
        return False
    leaf = feature == LEAF
    furthest = left.astype(np.int64) + ~leaf
    inside = (leaf | (feature < figures)) & (furthest < np.repeat(sizes, sizes))
    return bool(inside.all() and np.isfinite(limit).all())


def models_for(position: BodyPosition) -> tuple[FallModel, ...]:
    """The model that ships for a wearing position; all of them where it is unknown."""
    if position is BodyPosition.UNKNOWN:
        return tuple(_shipped(p) for p in BodyPosition if p is not BodyPosition.UNKNOWN)
    return (_shipped(position),)


@cache
def _shipped(position: BodyPosition) -> FallModel:
    with as_file(files("edge.detectors") / MODELS / f"fall_{position}.npz") as path:
        return load_model(path)
