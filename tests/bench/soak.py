"""Does anything grow? A district at a moderate rate for long: memory, files and latencies at first and at last."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.bench import report
from tests.bench.rig import Rig, rig

_PARTS = ("telemetry", "alarms", "console")
_WARM_UP = 0.25


def _watch(bench: Rig, stop: threading.Event, samples: list[dict[str, float]]) -> None:
    while not stop.wait(5):
        sample = {f"{part}_rss_mb": bench.usage(part).rss_mb for part in _PARTS}
        sample |= {f"{part}_files": float(bench.files(part)) for part in _PARTS}
        samples.append(sample)


def main() -> int:
    """Entry point of `scripts/bench soak`."""
    parser = report.parser("soak", "memory, files and latencies over time", runs=1)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--homes", type=int, default=20_000)
    options = parser.parse_args()
    print(f"takes about {options.minutes + 1:.0f} minutes", file=sys.stderr)
    samples: list[dict[str, float]] = []
    latencies = []
    with tempfile.TemporaryDirectory(prefix="anju-bench-") as folder, rig(Path(folder), with_postgres=True) as bench:
        bench.configure()
        bench.import_homes(options.homes)
        bench.start_worker("telemetry", "telemetry")
        bench.start_worker("alarms", "alarms")
        bench.start_worker("console", "dispatch", "api")
        bench.wait_client("anju-ingest", 2)
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(bench, stop, samples))
        watcher.start()
        begun = time.monotonic()
        while (left := options.minutes * 60 - (time.monotonic() - begun)) > 1:
            command = [sys.executable, "-m", "firmware_sim.cli", "fleet", "--port", str(bench.broker_port)]
            command += [
                "--homes",
                str(options.homes),
                "--duration",
                str(min(left, options.minutes * 6)),
                "--alarms",
                "1",
            ]
            command += ["--json", str(bench.folder / "part.json"), "--births"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            latencies.append(json.loads((bench.folder / "part.json").read_text()))
        stop.set()
        watcher.join()
    warm = samples[int(len(samples) * _WARM_UP) :]
    half = len(warm) // 2

    def mean(rows: list[dict[str, float]], key: str) -> float:
        return sum(row[key] for row in rows) / max(1, len(rows))

    figures: dict[str, float] = {}
    for key in samples[0]:
        first, last = mean(warm[:half], key), mean(warm[half:], key)
        figures |= {f"{key}_first_half": first, f"{key}_second_half": last, f"{key}_growth": last / first}
    for part in _PARTS:  # a leak climbs from each tenth to the next; a pool that was filled once does not
        for tenth in range(10):
            rows = samples[len(samples) * tenth // 10 : len(samples) * (tenth + 1) // 10]
            figures[f"{part}_rss_mb_tenth_{tenth + 1}"] = mean(rows, f"{part}_rss_mb")
    figures["ack_p99_ms_first_part"] = latencies[0]["ack_p99_ms"]
    figures["ack_p99_ms_last_part"] = latencies[-1]["ack_p99_ms"]
    figures["unanswered"] = sum(part["missing"] for part in latencies)
    return report.finish("soak", options, [figures], report.versions())


if __name__ == "__main__":
    sys.exit(main())
