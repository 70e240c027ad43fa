"""The truth about a recorded way: stays outside the fences and episodes of wandering, and how well these were found."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any

from edge.detectors.location.wandering import Episode
from edge.evaluate.report import FormatError
from edge.evaluate.rows import moment, read_rows

OUTSIDE, ANY_PATTERN = "outside", "wandering"
WHAT = (OUTSIDE, ANY_PATTERN, "pacing", "lapping", "random")


@dataclass(frozen=True, slots=True)
class Walk:
    """One true episode of wandering; `pattern` is "wandering" where it is not said which kind."""

    start: float
    end: float
    pattern: str


@dataclass(frozen=True, slots=True)
class Truth:
    """Stays outside and walks in order of time; None where the file says nothing of the sort."""

    stays: list[tuple[float, float]] | None
    walks: list[Walk] | None


def read_truth(path: Path, zone: tzinfo) -> Truth:
    """A CSV of start,end and, if there, what: outside (the default), pacing, lapping, random or wandering.

    Times that name no zone are of `zone`. Without the column every row is a stay outside. Raises FormatError.
    """
    stays, walks, says_what = [], [], False
    for line, cells in read_rows(path, ("start", "end")):
        start, end = (moment(path, line, name, cells[name], zone) for name in ("start", "end"))
        if end < start:
            raise FormatError(f"{path}:{line}: end is before start")
        says_what = says_what or "what" in cells
        what = cells.get("what", "").strip().lower() or OUTSIDE
        if what not in WHAT:
            raise FormatError(f"{path}:{line}: what is one of {', '.join(WHAT)}, got {what[:40]!r}")
        if what == OUTSIDE:
            stays.append((start, end))
        else:
            walks.append(Walk(start, end, what))
    if not says_what:
        return Truth(sorted(stays), None)
    return Truth(sorted(stays) or None, sorted(walks, key=lambda w: w.start))


def scored_walks(
    episodes: Sequence[Episode], alarms: Sequence[float], walks: Sequence[Walk], hours: float
) -> dict[str, Any]:
    """Episodes against the true ones: found is a walk that an episode overlaps, false an episode that overlaps none.

    The delay is from the start of a walk to the first alarm in it.
    """
    found, agreed, named, delays = 0, 0, 0, []
    for walk in walks:
        over = [(_shared(e, walk), e) for e in episodes if _shared(e, walk) > 0]
        delays += [at - walk.start for at in sorted(alarms) if walk.start <= at <= walk.end][:1]
        if not over:
            continue
        found += 1
        named += walk.pattern != ANY_PATTERN
        agreed += max(over, key=lambda pair: pair[0])[1].pattern == walk.pattern
    false = sum(all(_shared(e, walk) <= 0 for walk in walks) for e in episodes)
    true = len(episodes) - false
    return {
        "true_wanderings": len(walks),
        "wanderings_found": found,
        "false_wanderings": false,
        "wandering_recall": found / len(walks) if walks else None,
        "wandering_precision": true / len(episodes) if episodes else None,
        "wandering_pattern_agreement": agreed / named if named else None,
        "false_wanderings_per_hour": false / hours if hours > 0 else None,
        "wandering_delay_median_s": statistics.median(delays) if delays else None,
    }


def _shared(episode: Episode, walk: Walk) -> float:
    """Seconds that both last."""
    return min(episode.end, walk.end) - max(episode.start, walk.start)
