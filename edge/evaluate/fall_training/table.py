"""The impacts of recordings as rows of figures, with the truth of each: what the trees are fitted on.

The impacts come from the very finder the gateway runs, fed with joined streams; so a row holds what the detector would
have seen at the moment of its decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from edge.detectors.fall_features import NAMES, features
from edge.detectors.fall_impacts import ImpactFinder
from edge.evaluate.fall_training import simulated
from edge.evaluate.fall_training.augment import drawn
from edge.evaluate.joining import FRAME_S, Placed, Stream, frames, streams
from edge.evaluate.recordings import Trial

NO_FALL, FALL, LEFT_OUT = 0, 1, 2
"""LEFT_OUT: an alarm would count as a hit, but the impact is not the fall's."""

SIMULATED_SHARE = 20
"""One simulated fall (and one that is none) to so many recorded trials."""

SIMULATED_WEIGHT = 1.0
SUPPORT_WEIGHT = 0.1
"""What an impact of simulated or of supporting recordings weighs in training."""

_TUMBLE_S = (-0.7, 1.5)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One row an impact: figures, subject, truth, the moment of the alarm, its stream, which fall (-1: none),
    and its weight in training.
    """

    figures: NDArray[np.float64]
    subject: NDArray[np.str_]
    truth: NDArray[np.int64]
    alarm_at: NDArray[np.float64]
    stream: NDArray[np.int64]
    fall: NDArray[np.int64]
    weight: NDArray[np.float64]

    def rows(self, keep: NDArray[np.bool_]) -> Table:
        """Some of the rows."""
        return Table(*(getattr(self, f.name)[keep] for f in fields(self)))


def joined(tables: Sequence[Table]) -> Table:
    """All rows, one table after the other."""
    return Table(*(np.concatenate([getattr(t, f.name) for t in tables]) for f in fields(Table)))


def found(table: Table, scores: NDArray[np.float64], threshold: float) -> int:
    """How many falls have an impact that scores so high (an alarm for another impact so near counts as a hit too)."""
    rows = (scores >= threshold) & (table.fall >= 0)
    return len(set(zip(table.stream[rows].tolist(), table.fall[rows].tolist(), strict=True)))


def plain(trials: Sequence[Trial], seed: int) -> Table:
    """The recordings as they are."""
    return _table(streams(trials, joined=True, seed=seed), 0.0, seed)


def augmented(trials: Sequence[Trial], seed: int, put_down: int = 0) -> Table:
    """The recordings as other sensors, worn otherwise, would have made them: every trial drawn anew; and, for
    subject `simulated.SUBJECT`, what nobody stages, with devices put down more often for every `put_down` trials.
    """
    rng = np.random.default_rng([seed, 0xFA11])
    more = simulated.trials(max(1, len(trials) // SIMULATED_SHARE), rng)
    if put_down:
        more += simulated.put_down(max(1, len(trials) // put_down), rng)
    worse = [drawn(rng).apply(trial) for trial in (*trials, *more)]
    return _table(streams(worse, joined=True, seed=seed), 0.02, seed)


def _table(parts: Sequence[Stream], dropout: float, seed: int) -> Table:
    tables = [_of_stream(stream, number, dropout, seed) for number, stream in enumerate(parts)]
    return joined(tables)


def _of_stream(stream: Stream, number: int, dropout: float, seed: int) -> Table:
    finder = ImpactFinder()
    figures: list[NDArray[np.float64]] = []
    truths: list[tuple[int, int]] = []
    moments: list[float] = []
    falls = [p for p in stream.placed if p.trial.impact_s is not None]
    for frame in frames(stream, "recording", FRAME_S, dropout, seed):
        alarm_at = frame.at + len(frame.samples) / frame.rate_hz
        for impact in finder.push(frame):
            figures.append(features(impact.rows, impact.row))
            truths.append(_truth(falls, impact.at, alarm_at))
            moments.append(alarm_at)
    n = len(figures)
    return Table(
        np.array(figures).reshape(n, len(NAMES)),
        np.full(n, stream.subject),
        np.array([truth for truth, _ in truths], dtype=np.int64),
        np.array(moments),
        np.full(n, number),
        np.array([fall for _, fall in truths], dtype=np.int64),
        np.full(n, SIMULATED_WEIGHT if stream.subject == simulated.SUBJECT else 1.0),
    )


def _truth(falls: Sequence[Placed], at: float, alarm_at: float) -> tuple[int, int]:
    """By the rule of fall_scoring: would an alarm be a hit, is the impact that of the fall, and of which?"""
    for number, placed in enumerate(falls):
        impact = placed.trial.impact_s
        if impact is None:
            continue
        start, end = placed.trial.fall_s or (impact - 1.0, impact)
        if start <= alarm_at - placed.at <= end + 10.0:
            low, high = _TUMBLE_S
            return (FALL if low <= at - placed.at - impact <= high else LEFT_OUT), number
    return NO_FALL, -1


def supporting(trials: Sequence[Trial], seed: int) -> Table:
    """Recordings of another position or device, which steady the trees but must not rule them."""
    others = renamed(trials, "support:")
    table = plain(others, seed)
    return replace(table, weight=table.weight * SUPPORT_WEIGHT)


def renamed(trials: Sequence[Trial], prefix: str) -> list[Trial]:
    """Trials whose subjects cannot be taken for those of another set."""
    return [replace(t, subject=f"{prefix}{t.subject}") for t in trials]
