"""What each detector costs for a second of a home's signal, and all of them together as a share of a core.

`series` is the general series detector by itself, for a series with one value a second; in a home (`unusual`) it has a
row every five minutes. Fails when the home takes 1 % of a core or more.
"""

from __future__ import annotations

import math
import random
import sys
import time

import numpy as np

from edge.detectors.facade import Detectors
from edge.detectors.series import SeriesDetector
from edge.readings import Reading, SignalFrame
from tests.bench import report
from tests.support.whole_home import DEVICES, detectors, second

TICKS_PER_S = 5
MOST_PERCENT = 1.0
_START = 1_795_000_000.0


def _heard(seconds: int) -> list[list[Reading | SignalFrame]]:
    rng, noise = random.Random(1), np.random.default_rng(1)
    return [list(second(_START + i, i, rng, noise)) for i in range(seconds)]


def _fed(hosted: Detectors, heard: list[list[Reading | SignalFrame]]) -> float:
    """CPU seconds that the detectors take for all of it, ticks included."""
    begun = time.process_time()
    for i, several in enumerate(heard):
        now = _START + i
        for one in several:
            if isinstance(one, SignalFrame):
                hosted.on_frame(one)
            else:
                hosted.on_reading(one, now)
        for tick in range(TICKS_PER_S):
            hosted.on_tick(now + tick / TICKS_PER_S)
    return time.process_time() - begun


def _series(seconds: int) -> float:
    """CPU seconds for a noisy daily rhythm of one value a second, after it has learned as many."""
    rng, detector = random.Random(2), SeriesDetector()
    values = [math.sin(i / 200) + rng.gauss(0, 0.1) for i in range(2 * seconds)]
    for value in values[:seconds]:
        detector.push(value)
    begun = time.process_time()
    for value in values[seconds:]:
        detector.push(value)
    return time.process_time() - begun


def _run(heard: list[list[Reading | SignalFrame]]) -> dict[str, float]:
    spent = {"host_alone": _fed(Detectors([]), heard)}
    for listed in detectors().listed:
        spent[listed.key.replace("/", "_")] = _fed(Detectors([listed]), heard)
    figures = {f"{key}_us_per_s": max(cpu - (key != "host_alone") * spent["host_alone"], 0.0) / len(heard) * 1e6
               for key, cpu in spent.items()}  # fmt: skip
    figures["series_us_per_s"] = _series(len(heard)) / len(heard) * 1e6
    whole = _fed(detectors(), heard)
    figures["home_us_per_s"] = whole / len(heard) * 1e6
    figures["home_percent_of_core"] = whole / len(heard) * 100
    return figures


def main() -> int:
    """Entry point of `scripts/bench detectors`."""
    parser = report.parser("detectors", "CPU of the gateway's detectors")
    parser.add_argument("--seconds", type=int, default=900, help="of a quiet home (default 900)")
    options = parser.parse_args()
    print(f"a home of {len(DEVICES)} devices, {options.seconds} s, {options.runs} runs", file=sys.stderr)
    heard = _heard(options.seconds)
    runs = [_run(heard) for _ in range(options.runs)]
    code = report.finish("detectors", options, runs, report.versions())
    return 1 if any(run["home_percent_of_core"] >= MOST_PERCENT for run in runs) else code


if __name__ == "__main__":
    sys.exit(main())
