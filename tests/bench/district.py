"""A whole district on this machine: every home a batch of ten values each interval, with alarms in between.

Broker, InfluxDB, PostgreSQL, one ingest process, one process for dispatch and console, and the fleet simulator share
the machine. First a steady part with alarms, then (unless --no-outage) all homes come back from an outage at once and
drain their back-log, with alarms again. At the end the audit counts from the `delivery` measurement what is missing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench import report
from tests.bench.console import Console, percentile
from tests.bench.rig import Rig, rig

_PARTS = ("mosquitto", "influxd", "ingest", "console")


def _fleet(bench: Rig, name: str, *more: str) -> tuple[dict[str, Any], dict[str, float]]:
    """Run the fleet; its accounts, and the share of a core of each process meanwhile."""
    before = {part: bench.usage(part).cpu_s for part in _PARTS}
    begun = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "firmware_sim.cli",
        "fleet",
        "--port",
        str(bench.broker_port),
        "--connections",
        "32",
    ]
    command += [
        "--json",
        str(bench.folder / f"{name}.json"),
        "--alarm-log",
        str(bench.folder / f"{name}.alarms"),
        *more,
    ]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    took = time.monotonic() - begun
    shares = {f"{part}_cores": (bench.usage(part).cpu_s - before[part]) / took for part in _PARTS}
    accounts = json.loads((bench.folder / f"{name}.json").read_text())
    return accounts | {"took_s": took}, shares | {"fleet_cores": accounts["cpu_s"] / took}


def _measure(bench: Rig, options: Any) -> dict[str, float]:
    bench.configure()
    bench.import_homes(options.homes)
    bench.start_worker("ingest", "ingest")
    bench.start_worker("console", "dispatch", "api")
    bench.wait_client("anju-ingest", 2)
    console = Console(bench)
    begun = time.time()
    shared = ["--homes", str(options.homes), "--alarms", str(options.alarms)]
    steady, shares = _fleet(
        bench, "steady", *shared, "--interval", str(options.interval), "--duration", f"{options.minutes * 60}"
    )
    time.sleep(2)
    figures = {
        "homes": float(options.homes),
        "batches": steady["made"],
        "batches_per_s": steady["made"] / (options.minutes * 60),
        "ack_p50_ms": steady["ack_p50_ms"],
        "ack_p99_ms": steady["ack_p99_ms"],
        "resent": steady["resent"],
        "unanswered": steady["missing"],
        **_alarms(console, bench, "steady"),
        **shares,
    }
    if not options.no_outage:
        drained, busy = _fleet(
            bench, "drain", *shared, "--interval", "60", "--duration", "30", "--drain", "900",
            "--outage", str(options.outage), "--outage-interval", "60",
        )  # fmt: skip
        time.sleep(2)
        figures |= {
            "drain_batches": drained["made"],
            "drain_s": drained["took_s"],
            "drain_batches_per_s": drained["made"] / drained["took_s"],
            "drain_resent": drained["resent"],
            "drain_unanswered": drained["missing"],
            **{f"drain_{key}": value for key, value in _alarms(console, bench, "drain").items()},
            **{f"drain_{key}": value for key, value in busy.items()},
        }
    for part in _PARTS:
        figures[f"{part}_peak_rss_mb"] = bench.usage(part).peak_rss_mb
    console.stop()
    span = ["--from", str(begun - 7_200), "--to", str(time.time() + 60), "--json", str(bench.folder / "audit.json")]
    bench.tool("audit", "deliveries", *span)
    found = json.loads((bench.folder / "audit.json").read_text())
    proven = found["batches"] - figures["batches"] - figures.get("drain_batches", 0)
    return figures | {"audit_missing": found["missing"], "audit_doubled": found["doubled"], "audit_surplus": proven}


def _alarms(console: Console, bench: Rig, name: str) -> dict[str, float]:
    latencies, lost = console.latencies_ms(bench.folder / f"{name}.alarms")
    console.seen.clear()
    return {
        "alarms": float(len(latencies) + lost),
        "alarms_unseen": float(lost),
        "sensor_to_stream_p50_ms": percentile(latencies, 50),
        "sensor_to_stream_p99_ms": percentile(latencies, 99),
    }


def main() -> int:
    """Entry point of `scripts/bench district`."""
    parser = report.parser("district", "103,000 homes on this machine", runs=1)
    parser.add_argument("--homes", type=int, default=103_000)
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between batches (default 10)")
    parser.add_argument("--minutes", type=float, default=10.0, help="of the steady part (default 10)")
    parser.add_argument("--alarms", type=float, default=2.0, help="a second (default 2)")
    parser.add_argument("--outage", default="10m", help="whose back-log, a batch a minute, is drained (default 10m)")
    parser.add_argument("--no-outage", action="store_true")
    options = parser.parse_args()
    print(f"takes about {options.runs * (options.minutes + 4):.0f} minutes", file=sys.stderr)
    runs = []
    for _ in range(options.runs):
        with (
            tempfile.TemporaryDirectory(prefix="anju-bench-") as folder,
            rig(Path(folder), with_postgres=True) as bench,
        ):
            runs.append(_measure(bench, options))
    programs = {"mosquitto": "/usr/sbin/mosquitto -h", "influxd": f"{os.environ['ANJU_INFLUXD']} version"}
    arithmetic = f"{options.homes} homes × one batch a minute × {options.outage} of outage"
    return report.finish("district", options, runs, report.versions(**programs), drained=arithmetic)


if __name__ == "__main__":
    sys.exit(main())
