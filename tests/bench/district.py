"""A whole district on this machine: every home a batch of ten values each interval, with alarms in between.

Broker, InfluxDB, PostgreSQL, one ingest process, one process for dispatch and console, and the fleet simulator share
the machine. First a cold minute, in which InfluxDB makes the series of all homes, then a steady part, then (unless
--no-outage) all homes come back from an outage at once and drain their back-log; with alarms in all three.
At the end the audit counts from the `delivery` measurement what is missing.
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

_COLD_S = 60
_PARTS = ("mosquitto", "influxd", "telemetry", "alarms", "console")


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
    bench.start_worker("telemetry", "telemetry")
    bench.start_worker("alarms", "alarms")
    bench.start_worker("console", "dispatch", "api")
    bench.wait_client("anju-ingest", 2)
    console = Console(bench)
    begun = time.time()
    shared = ["--homes", str(options.homes), "--alarms", str(options.alarms)]
    cold, _ = _fleet(bench, "cold", *shared, "--interval", str(options.interval), "--duration", f"{_COLD_S}")
    figures = {
        "homes": float(options.homes),
        "cold_batches": cold["made"],
        "cold_ack_p50_ms": cold["ack_p50_ms"],
        "cold_ack_p99_ms": cold["ack_p99_ms"],
        "cold_resent": cold["resent"],
        "cold_unanswered": cold["missing"],
        **_alarms(console, bench, "cold", cold),
    }
    steady, shares = _fleet(
        bench, "steady", *shared, "--interval", str(options.interval), "--duration", f"{options.minutes * 60}"
    )
    figures |= {
        "batches": steady["made"],
        "batches_per_s": steady["made"] / (options.minutes * 60),
        "ack_p50_ms": steady["ack_p50_ms"],
        "ack_p99_ms": steady["ack_p99_ms"],
        "resent": steady["resent"],
        "unanswered": steady["missing"],
        **_alarms(console, bench, "steady", steady),
        **shares,
    }
    if not options.no_outage:
        drained, busy = _fleet(
            bench, "drain", *shared, "--interval", "60", "--duration", "30", "--drain", "900",
            "--outage", str(options.outage), "--outage-interval", "60",
        )  # fmt: skip
        figures |= {
            "drain_batches": drained["made"],
            "drain_s": drained["took_s"],
            "drain_batches_per_s": drained["made"] / drained["took_s"],
            "drain_resent": drained["resent"],
            "drain_unanswered": drained["missing"],
            **{f"drain_{key}": value for key, value in _alarms(console, bench, "drain", drained).items()},
            **{f"drain_{key}": value for key, value in busy.items()},
        }
    for part in _PARTS:
        figures[f"{part}_peak_rss_mb"] = bench.usage(part).peak_rss_mb
    console.stop()
    span = ["--from", str(begun - 7_200), "--to", str(time.time() + 60), "--json", str(bench.folder / "audit.json")]
    bench.tool("audit", "deliveries", *span)
    found = json.loads((bench.folder / "audit.json").read_text())
    made = figures["cold_batches"] + figures["batches"] + figures.get("drain_batches", 0)
    return figures | {
        "audit_missing": found["missing"],
        "audit_doubled": found["doubled"],
        "audit_surplus": found["batches"] - made,
    }


def _alarms(console: Console, bench: Rig, name: str, accounts: dict[str, Any]) -> dict[str, float]:
    time.sleep(2)
    latencies, lost = console.latencies_ms(bench.folder / f"{name}.alarms")
    console.seen.clear()
    return {
        "alarms": float(len(latencies) + lost),
        "alarms_unseen": float(lost),
        "alarm_ack_p50_ms": accounts["alarm_ack_p50_ms"],
        "alarm_ack_p99_ms": accounts["alarm_ack_p99_ms"],
        "sensor_to_stream_p50_ms": percentile(latencies, 50),
        "sensor_to_stream_p99_ms": percentile(latencies, 99),
    }


def main() -> int:
    """Entry point of `scripts/bench district`."""
    parser = report.parser("district", "103,000 homes on this machine")
    parser.add_argument("--homes", type=int, default=103_000)
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between batches (default 10)")
    parser.add_argument("--minutes", type=float, default=10.0, help="of the steady part (default 10)")
    parser.add_argument("--alarms", type=float, default=2.0, help="a second (default 2)")
    parser.add_argument("--outage", default="10m", help="whose back-log, a batch a minute, is drained (default 10m)")
    parser.add_argument("--no-outage", action="store_true")
    options = parser.parse_args()
    print(f"takes about {options.runs * (options.minutes + 6):.0f} minutes", file=sys.stderr)
    runs = []
    for _ in range(options.runs):
        with (
            tempfile.TemporaryDirectory(prefix="anju-bench-") as folder,
            rig(Path(folder), with_postgres=True) as bench,
        ):
            runs.append(_measure(bench, options))
        print(json.dumps(runs[-1]), file=sys.stderr, flush=True)
    programs = {"mosquitto": "/usr/sbin/mosquitto -h", "influxd": f"{os.environ['ANJU_INFLUXD']} version"}
    arithmetic = f"{options.homes} homes × one batch a minute × {options.outage} of outage"
    return report.finish("district", options, runs, report.versions(**programs), drained=arithmetic)


if __name__ == "__main__":
    sys.exit(main())
