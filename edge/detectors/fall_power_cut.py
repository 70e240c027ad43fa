"""An impact behind which the power went: what was kept of it, and how it is joined to what comes after the restart.

Theory of operation. The seconds before a strong impact, and the impact itself, are on flash (edge.memory). What came
between the cut and the restart is lost. Who has fallen badly still lies when the signal is back, and who had not is on
his feet or sits: so the seconds after the restart stand in for those that are missing, as if nothing lay between. That
holds for MOST_AWAY_S; whoever lay longer may have been helped up, and the impact is given up.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.detectors.fall_features import AFTER, NAMES, RATE_HZ, Signal

MOST_AWAY_S: Final = 180.0
"""A gateway that is back later than this after an impact does not judge it any more. A Raspberry Pi starts in less than
a minute."""
CLOCK_BACK_S: Final = 3_700.0
"""Without a clock that runs on, a gateway starts up to an hour before the time it had (edge.clock); how long it was
away is then unknown, and the impact is judged."""
SOONEST_REST: Final = 25.0
"""Samples after the impact. How soon the body came to rest is lost with the power, and what is joined to the impact
lies still at once, as a watch does that was put down: it is taken to have been no sooner than this. Own choice, of 20
to 40: more of it finds more, at more false alarms."""
_HOLE: Final = 2 * RATE_HZ
"""A hole of so many samples behind the restart is another break: what follows it counts."""


_STILL_AFTER: Final = NAMES.index("still_after")
_SETTLING: Final = 20
_ASIDE_G: Final = 0.3
_CHANCE: Final = random.Random(0)  # numpy's would cost the daemon 3 MB
_STILL: Final = np.array([[_CHANCE.gauss(0.0, 0.012) for _ in range(3)] for _ in range(AFTER)])
"""What a body that lies still moves, g."""


@dataclass(frozen=True, slots=True, eq=False)
class More:
    """Samples after the restart, shape (n, 3), and the place of the first in what was looked at."""

    rows: Signal
    first: int


@dataclass(frozen=True, slots=True, eq=False)
class PowerCut:
    """`rows` (n, 3) in g up to the cut, nothing missing; the impact is row `row`, its index in the signal `index`.

    `at`, `start_at` and `end_at` are the Unix times of the impact, the first and the last row; `since` is the index
    from which signal after the restart is looked for.
    """

    index: int
    at: float
    start_at: float
    end_at: float
    rows: Signal
    row: int
    since: int

    @property
    def peak(self) -> float:
        """Magnitude of the impact, g."""
        return float(np.sqrt(np.sum(self.rows[self.row] ** 2)))

    def more(self, signal: Signal, after: int) -> More | None:
        """What fills up `after` samples behind the impact, out of all signal from `since` on; None while there is too
        little.
        """
        known = np.flatnonzero(~np.isnan(signal.sum(axis=1)))
        if len(known) == 0:
            return None
        holes = np.flatnonzero(np.diff(known) > _HOLE)
        first = int(known[holes[-1] + 1] if len(holes) else known[0])
        wanted = after - (len(self.rows) - self.row)
        if len(signal) - first < wanted:
            return None
        return More(signal[first : first + wanted], first)

    def near(self, away_s: float) -> bool:
        """Whether the signal was back soon enough, as far as the clock can tell."""
        return -CLOCK_BACK_S <= away_s <= MOST_AWAY_S

    def state(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "index": self.index,
            "times": [self.at, self.start_at, self.end_at],
            "rows": self.rows.round(3).tolist(),
            "row": self.row,
            "since": self.since,
        }

    @staticmethod
    def of(state: dict[str, Any]) -> PowerCut:
        """Raises ValueError, TypeError or KeyError if it is no state."""
        rows = np.array(state["rows"], dtype=np.float64).reshape(-1, 3)
        at, start_at, end_at = (float(t) for t in state["times"])
        index, row, since = (int(state[name]) for name in ("index", "row", "since"))
        if (
            not 0 <= row < len(rows)
            or not np.isfinite(rows).all()
            or not all(map(math.isfinite, (at, start_at, end_at)))
        ):
            raise ValueError("no impact behind which the power went")
        return PowerCut(index, at, start_at, end_at, rows, row, since)


def rest_unseen(figures: NDArray[np.float64]) -> NDArray[np.float64]:
    """The figures of an impact whose end was joined to it, without what the join makes up."""
    told = figures.copy()
    told[_STILL_AFTER] = max(told[_STILL_AFTER], SOONEST_REST)
    return told


def as_if_lying(rows: Signal, row: int) -> Signal:
    """`rows` (n, 3), nothing missing, filled up to the end that an impact at `row` has, as if the person lay still at
    right angles to how he had been, on the side from which the blow came. If not even that would be a fall, the impact
    need not be kept.
    """
    missing = AFTER - (len(rows) - row)
    if missing <= 0:
        return rows
    upright = _unit(rows[: max(1, row - RATE_HZ // 2)].mean(axis=0))
    blow = rows[row:].mean(axis=0)
    aside = blow - (blow @ upright) * upright
    if float(np.linalg.norm(aside)) < _ASIDE_G:
        aside = np.cross(upright, np.eye(3)[int(np.abs(upright).argmin())])
    rest = _unit(aside) + _STILL[:missing]
    share = np.minimum(np.arange(1, missing + 1) / _SETTLING, 1.0)[:, None]
    return np.concatenate((rows, rows[-1] * (1 - share) + rest * share))


def _unit(vector: Signal) -> Signal:
    return vector / max(float(np.linalg.norm(vector)), 1e-6)
