"""Writes docs/results/track.json: fences and wandering on simulated walks, receiver by receiver.

python -m tests.edge.detectors.location.results docs/results/track.json
"""

from __future__ import annotations

import json
import random
import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from edge.detectors.location.wandering import Episode
from edge.evaluate.track import replay, scored, true_stays
from edge.evaluate.track_truth import Walk, scored_walks
from tests.edge.detectors.location.test_walks import FENCES, HOURS, WAYS, outing, rows_of
from tests.edge.detectors.location.walks import Receiver, home_life, mixed_day, received, walk

OUTINGS, HOME_RUNS, WALKS, DAYS = 20, 8, 20, 20
WANDERING = ("lapping", "pacing", "random")
RECEIVERS = {
    "5 s, 10 m": Receiver(),
    "5 s, 15 m, poor leaps": Receiver(5, 15, leaps=0.02),
    "10 s, 15 m, leaps that lie": Receiver(10, 15, leaps=0.02, lies=True),
    "15 s, 60 m": Receiver(15, 60),
    "60 s, 30 m, gaps": Receiver(60, 30, gaps=0.2),
    "300 s, 30 m": Receiver(300, 30),
}
WALKERS = {"5 s, 8 m": Receiver(5, 8), "10 s, 15 m": Receiver(10, 15), "30 s, 10 m": Receiver(30, 10)}


def exits(receiver: Receiver) -> dict[str, Any]:
    """Outings of one simulated resident, and hours at home in which every twentieth fix begins a leap."""
    total: Counter[str] = Counter()
    delays = []
    for seed in range(OUTINGS):
        rows = rows_of(list(received(outing(seed), receiver, random.Random(seed))))
        found = scored([d.at for d in replay(rows, FENCES, HOURS).exits], true_stays(rows) or [])
        total.update({k: found[k] for k in ("true_exits", "exits_found", "false_exits")})
        delays += [found["delay_median_s"]] if found["delay_median_s"] is not None else []
    hours = episodes = 0.0
    for seed in range(HOME_RUNS):
        way = home_life(3 * 3600, random.Random(seed))
        home = replay(rows_of(list(received(way, receiver, random.Random(seed)))), FENCES, HOURS)
        total["false_exits_at_home"] += len(home.exits)
        hours += (way[-1][0] - way[0][0]) / 3600
        episodes += len(home.episodes)
    slow = sorted(delays)[int(0.95 * len(delays))] if delays else None
    return {
        **total,
        "hours_at_home": round(hours, 1),
        "delay_median_s": statistics.median(delays) if delays else None,
        "delay_p95_s": slow,
        "wandering_episodes_per_hour_at_home": round(episodes / hours, 3),
    }


def patterns(receiver: Receiver) -> dict[str, dict[str, int]]:
    """What walks of each kind are taken for."""
    found: dict[str, Counter[str]] = {name: Counter() for name in WAYS}
    for name, make in WAYS.items():
        for seed in range(WALKS):
            rng = random.Random(seed)
            way = walk([(x + 1000, y) for x, y in make(rng)], rng.uniform(0.6, 1.1))
            seen = replay(rows_of(list(received(way, receiver, rng))), FENCES, HOURS).episodes
            found[name][seen[0].pattern if seen else "none"] += 1
    return {name: dict(sorted(of.items())) for name, of in found.items()}


def wandering(receiver: Receiver) -> dict[str, Any]:
    """Days in which walks of all five kinds are mixed: episodes found, false ones, and their kind."""
    episodes, alarms, truth, hours = [], [], [], 0.0
    for seed in range(DAYS):
        way, walks = mixed_day(seed, WAYS, WANDERING)
        found = replay(rows_of(list(received(way, receiver, random.Random(seed)))), FENCES, HOURS, "always")
        late = seed * 2 * 86_400.0
        episodes += [Episode(e.start + late, e.end + late, e.patterns) for e in found.episodes]
        alarms += [d.at + late for d in found.alarms]
        truth += [Walk(start + late, end + late, kind) for start, end, kind in walks]
        hours += (way[-1][0] - way[0][0]) / 3600
    return {"hours": round(hours, 1), **scored_walks(episodes, alarms, truth, hours)}


def main(path: Path) -> None:
    """Write the figures."""
    figures = {
        "exits": {name: exits(receiver) for name, receiver in RECEIVERS.items()},
        "patterns": {name: patterns(receiver) for name, receiver in WALKERS.items()},
        "wandering": {name: wandering(receiver) for name, receiver in WALKERS.items()},
    }
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
