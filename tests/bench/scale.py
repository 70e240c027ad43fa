"""What a batch costs with more homes, and what more workers on one shared subscription give."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import report
from tests.bench.ingest import _senml
from tests.bench.publisher import publish_all
from tests.bench.rig import rig

_LIMITS = "[ingest]\nmax_in_flight_batches = 1000000\nmax_in_flight_bytes = 2000000000\n"


def _drain(count: int, homes: int, workers: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="anju-bench-") as folder, rig(Path(folder), with_postgres=True) as bench:
        bench.configure(share_group="anju" if workers > 1 else None, more=_LIMITS)
        bench.import_homes(homes)
        names = [f"worker-{i}" for i in range(workers)]
        for name in names:
            bench.start_worker(name)
        bench.wait_client("anju-ingest", 2 * workers)
        messages = _senml(count, homes, digits=False)
        before = sum(bench.usage(name).cpu_s for name in names)
        begun = time.monotonic()
        publish_all(bench.broker_port, messages)
        while bench.count("SELECT count(seq) FROM delivery") < count:
            if time.monotonic() - begun > 60 + count / 1_000:
                raise TimeoutError("not everything is stored")
            time.sleep(0.25)
        took = time.monotonic() - begun
        for name in names:
            bench.wait_idle(name, 1.5)
        used = sum(bench.usage(name).cpu_s for name in names) - before
        return {"us": used / count * 1e6, "per_s": count / took}


def main() -> int:
    """Entry point of `scripts/bench scale`."""
    parser = report.parser("scale", "cost a batch by homes and by workers")
    parser.add_argument("--batches", type=int, default=100_000)
    options = parser.parse_args()
    print(f"takes about {options.runs * 3:.0f} minutes", file=sys.stderr)
    runs = []
    for i in range(options.runs):
        run: dict[str, float] = {}
        for homes in (1_000, 10_000, 100_000):
            run[f"us_per_batch_at_{homes}_homes"] = _drain(options.batches, homes, 1)["us"]
        for workers in (1, 2, 4):
            found = _drain(options.batches, 10_000, workers)
            run[f"batches_per_s_of_{workers}_workers"] = found["per_s"]
            run[f"us_per_batch_of_{workers}_workers"] = found["us"]
        run["ratio_100k_to_1k_homes"] = run["us_per_batch_at_100000_homes"] / run["us_per_batch_at_1000_homes"]
        run["speed_up_of_2_workers"] = run["batches_per_s_of_2_workers"] / run["batches_per_s_of_1_workers"]
        runs.append(run)
        print(f"run {i + 1}/{options.runs} done", file=sys.stderr)
    programs = {"influxd": f"{os.environ['ANJU_INFLUXD']} version"}
    return report.finish("scale", options, runs, report.versions(**programs))


if __name__ == "__main__":
    sys.exit(main())
