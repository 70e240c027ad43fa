"""The latencies of the story's hops, as the median over several plays, each against its goal.

A ratio below 1 meets the goal: a fall reaches the cloud in 5 s, the question lasts what is configured plus 1 s, the
console shows an incident in 300 ms, the phone has the message in 1 s.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from firmware_sim.demo.processes import Processes, free_port
from firmware_sim.demo.story import Story
from firmware_sim.demo.system import DemoOptions, DemoSystem

_QUESTION_S = 3.0
GOALS_S = {
    "impact → pending at the cloud": 5.0,
    "pending → raised": _QUESTION_S + 1.0,
    "raised → console": 0.3,
    "raised → phone": 1.0,
}


def _play(folder: Path, light_homes: int) -> dict[str, float]:
    options = DemoOptions(folder=folder, port=free_port(), question_s=_QUESTION_S, light_homes=light_homes)
    system = DemoSystem(options, Processes(folder / "logs"))
    story = Story(system, lambda _text: None)
    try:
        system.start()
        story.play()
        return story.measured
    finally:
        story.stopped.set()
        system.processes.stop()
        story.leave()


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `scripts/bench chain`."""
    parser = argparse.ArgumentParser(prog="scripts/bench chain", description="latency of every hop of the story")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--light-homes", type=int, default=50, help="homes that send meanwhile (default 50)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args(arguments)
    measured: dict[str, list[float]] = {name: [] for name in GOALS_S}
    for i in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="anju-bench-") as folder:
            found = _play(Path(folder), options.light_homes)
        for name, values in measured.items():
            values.append(found[name])
        print(f"round {i + 1}/{options.rounds} done", file=sys.stderr)
    report = {
        name: {
            "median_s": round(statistics.median(values), 4),
            "worst_s": round(max(values), 4),
            "goal_s": GOALS_S[name],
            "ratio": round(statistics.median(values) / GOALS_S[name], 3),
        }
        for name, values in measured.items()
    }
    text = json.dumps(
        {"rounds": options.rounds, "light_homes": options.light_homes, "hops": report}, indent=1, ensure_ascii=False
    )
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
