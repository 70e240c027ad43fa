"""How likely an impact was a fall: trees over fall_features, kept as plain arrays and walked with numpy.

A model file (NPZ, made by `anju-evaluate train-falls`) holds the nodes of all trees in one row of arrays: a node with
`feature` f goes on to `left` where the figure is at most `limit`, else to `right`; a leaf points at itself. The score
is the sum of `value` over the leaves reached, plus `base`; `confidence` of it is calibrated (Platt 1999) on people the
trees had not seen. `about` is JSON: names of the figures, thresholds of the three steps, data, command and seed.
"""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.detectors.fall_features import NAMES
from edge.readings import BodyPosition, Sensitivity

FORMAT: Final = 1
MODELS: Final = "models"


@dataclass(frozen=True, slots=True, eq=False)
class FallModel:
    """See the module's text. `thresholds` are scores by sensitivity, `platt` is (slope, intercept); of NAMES the first
    `figures` are used.
    """

    feature: NDArray[np.int64]
    limit: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float32]
    roots: NDArray[np.int64]
    depth: int
    base: float
    thresholds: dict[Sensitivity, float]
    platt: tuple[float, float] = (1.0, 0.0)
    figures: int = len(NAMES)
    about: dict[str, Any] = field(default_factory=dict)

    def scores(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores of feature rows, shape (n, len(NAMES)); no rows give no scores."""
        single = np.asarray(rows, dtype=np.float32).reshape(-1, len(NAMES))
        nodes = np.broadcast_to(self.roots, (len(single), len(self.roots)))
        which = np.arange(len(single))[:, None]
        for _ in range(self.depth):
            below = single[which, self.feature[nodes]] <= self.limit[nodes]
            nodes = np.where(below, self.left[nodes], self.right[nodes])
        result: NDArray[np.float64] = self.value[nodes].sum(axis=1, dtype=np.float64) + self.base
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
                feature=self.feature.astype(np.uint8),
                limit=self.limit,
                left=self.left.astype(np.uint16 if len(self.left) < 65_536 else np.uint32),
                right=self.right.astype(np.uint16 if len(self.right) < 65_536 else np.uint32),
                value=self.value,
                roots=self.roots.astype(np.uint32),
                about=np.frombuffer(json.dumps(about, sort_keys=True).encode(), dtype=np.uint8),
            )


def load_model(path: Path) -> FallModel:
    """Read a model file. Raises ValueError if it is none, or is of other figures than this software makes; OSError."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            nodes = {name: arrays[name] for name in ("feature", "limit", "left", "right", "value", "roots")}
    except (KeyError, UnicodeDecodeError, json.JSONDecodeError, EOFError, zipfile.BadZipFile, ValueError) as error:
        raise ValueError(f"{path}: no model of falls ({error})") from None
    names = about.get("features")
    if about.get("format") != FORMAT or not names or names != list(NAMES[: len(names)]):
        raise ValueError(f"{path}: a model of other figures than this software measures; train it anew")
    return FallModel(
        feature=nodes["feature"].astype(np.int64),
        limit=nodes["limit"].astype(np.float32),
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        value=nodes["value"].astype(np.float32),
        roots=nodes["roots"].astype(np.int64),
        depth=int(about["depth"]),
        base=float(about["base"]),
        thresholds={Sensitivity(k): float(v) for k, v in about["thresholds"].items()},
        platt=(float(about["platt"][0]), float(about["platt"][1])),
        figures=len(names),
        about=about,
    )


def models_for(position: BodyPosition) -> tuple[FallModel, ...]:
    """The model that ships for a wearing position; all of them where it is unknown."""
    if position is BodyPosition.UNKNOWN:
        return tuple(_shipped(p) for p in BodyPosition if p is not BodyPosition.UNKNOWN)
    return (_shipped(position),)


@cache
def _shipped(position: BodyPosition) -> FallModel:
    with as_file(files("edge.detectors") / MODELS / f"fall_{position}.npz") as path:
        return load_model(path)
