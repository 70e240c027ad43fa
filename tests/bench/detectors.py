"""What each detector costs for a second of a home's signal, and all of them together as a share of a core."""

from __future__ import annotations

import random
import sys
import time

import numpy as np

from edge.detectors.facade import Detectors
from edge.readings import Reading, SignalFrame
from tests.bench import report
from tests.support.whole_home import DEVICES, detectors, second

TICKS_PER_S = 5
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


def _run(heard: list[list[Reading | SignalFrame]]) -> dict[str, float]:
    spent = {"host_alone": _fed(Detectors([]), heard)}
    for listed in detectors().listed:
        spent[listed.key.replace("/", "_")] = _fed(Detectors([listed]), heard)
    figures = {f"{key}_us_per_s": max(cpu - (key != "host_alone") * spent["host_alone"], 0.0) / len(heard) * 1e6
               for key, cpu in spent.items()}  # fmt: skip
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
    return report.finish("detectors", options, runs, report.versions())


if __name__ == "__main__":
    sys.exit(main())
