"""What a gateway costs in a home, how soon an alarm is on flash, and what ten thousand messages a second do to it.

The daemon runs as shipped (default configuration, the environment of its systemd unit) between two real brokers, with
a cloud that answers. Steady: memory, CPU, bytes written. Then falls, smoke and its end: from the publishing of the
message that causes the alarm to the log line that says it is on flash. Then the burst, with smoke every half second.
"""

from __future__ import annotations

import json
import os
import pstats
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.bench import report
from tests.bench.gateway_home import WEARABLES, Home, devices_toml
from tests.support.chain import wait_for
from tests.support.gateway import AnsweringCloud, ask_status, wiring
from tests.support.mosquitto import free_port, mosquitto, mosquitto_program

GOALS = {
    "rss_mb": 60.0,
    "cpu_percent": 2.0,
    "alarm_to_flash_p99_ms": 50.0,
    "start_s": 2.0,
    "burst_alarm_latest_ms": 1_000.0,
}
_UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "anju-gateway.service"
_DAY_S = 86_400.0
_BURST_S = 10.0
_CONFIG = """[clock]
wait_for_time_s = 0
[alarms]
merge_s = 1
question_s = 2
[metrics]
port = {metrics}
"""
_START = "import sys; sys.modules['rich'] = None; from edge.cli import main; sys.exit(main())"
"""As on a Raspberry Pi: the extra [edge] brings no rich, which structlog loads where it finds it."""


class Daemon:
    """One life of the gateway."""

    def __init__(self, folder: Path, home: int, cloud: int, *, profile: Path | None = None) -> None:
        self.data = folder / "data"
        self._log = folder / "gateway.log"
        config = folder / "gateway.toml"
        own = _CONFIG.format(metrics=free_port())
        config.write_text(wiring(self.data, home, cloud) + own + devices_toml())
        started = ["-c", _START] if profile is None else ["-m", "cProfile", "-o", str(profile), "-m", "edge.cli"]
        command = [sys.executable, *started, "run", "--config", str(config)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | _shipped_environment()
            )
        self._proc = psutil.Process(self.process.pid)

    def status(self) -> Any:
        """What it says of itself; None before it can."""
        try:
            return ask_status(self.data)
        except (OSError, ValueError):
            return None

    def cpu_s(self) -> float:
        """CPU seconds so far."""
        times = self._proc.cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        """Resident memory in MiB."""
        return float(self._proc.memory_info().rss) / 2**20

    def peak_rss_mb(self) -> float:
        """The most it ever was."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

    def written(self) -> int:
        """Bytes sent to the block layer so far."""
        lines = dict(x.split(": ") for x in Path(f"/proc/{self.process.pid}/io").read_text().splitlines())
        return int(lines["write_bytes"]) - int(lines["cancelled_write_bytes"])

    def alarms(self) -> list[dict[str, Any]]:
        """Alarm events that are on flash, with the time of the log line."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [json.loads(x) for x in lines if '"event": "alarm_state"' in x and x.endswith("}")]

    def stop(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def _shipped_environment() -> dict[str, str]:
    """Of the unit; and compiled modules are kept, as pip leaves them."""
    lines = [line.removeprefix("Environment=") for line in _UNIT.read_text().splitlines() if "Environment=" in line]
    return {"PYTHONDONTWRITEBYTECODE": ""} | dict(line.split("=", 1) for line in lines)


def _falls_and_smoke(daemon: Daemon, home: Home, seconds: float) -> list[float]:
    """Latencies in ms of all alarms that these caused."""
    end = time.time() + seconds
    flags_from, next_fall, smoke, lying = time.time(), time.time(), False, False
    while time.time() < end:
        smoke = not smoke
        home.flag("smoke-1", "smoke", smoke)
        if time.time() >= next_fall:
            for name in WEARABLES:
                home.stand_up(name) if lying else home.fall(name)
            lying, next_fall = not lying, next_fall + 6
        time.sleep(0.2)
    if smoke:
        home.flag("smoke-1", "smoke", False)
    time.sleep(2)
    return [ms for event in daemon.alarms() if (ms := _latency_ms(event, home, flags_from)) is not None]


def _latency_ms(event: dict[str, Any], home: Home, since: float) -> float | None:
    """From the last message that can have caused the alarm to its log line."""
    at = float(event["ts"])
    if at < since:
        return None
    if event["kind"] == "smoke":
        causes = home.flags.get(("smoke-1", event["state"] == "raised"), [])
    elif event["kind"] == "fall" and event["state"] == "pending":
        causes = [t for sent in home.frames.values() for t in sent]
    else:
        return None
    before = [t for t in causes if t <= at]
    return (at - max(before)) * 1000 if before else None


def _burst(daemon: Daemon, home: Home) -> dict[str, float]:
    """Ten seconds of flood, with smoke that begins and ends in it."""
    began = time.time()
    sent: list[int] = []
    flood = threading.Thread(target=lambda: sent.append(home.burst(_BURST_S)))
    flood.start()
    smoke = False
    while flood.is_alive():
        smoke = not smoke
        home.flag("smoke-2", "smoke", smoke)
        time.sleep(0.5)
    flood.join()
    if smoke:
        home.flag("smoke-2", "smoke", False)
    flags = sorted(t for (device, _), times in home.flags.items() if device == "smoke-2" for t in times)

    def on_flash() -> list[float]:
        found = [e for e in daemon.alarms() if e["kind"] == "smoke" and e["ts"] >= began]
        return [float(e["ts"]) for e in found]

    wait_for("alarms of the burst", lambda: len(on_flash()) >= len(flags), 60)
    late = [(at - sent_at) * 1000 for sent_at, at in zip(flags, on_flash(), strict=False)]
    status = daemon.status()
    return {
        "burst_sent": float(sent[0]),
        "burst_alarm_latest_ms": max(late),
        "burst_accepted": float(status["accepted"]),
        "burst_dropped": float(status["home_events"].get("incoming_dropped", 0)),
        "burst_peak_rss_mb": daemon.peak_rss_mb(),
    }


@contextmanager
def _playing(seed: int) -> Iterator[tuple[Path, Home, int, int]]:
    """A folder, a home that plays, and the ports of both brokers."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="anju-bench-"))
        home, cloud = stack.enter_context(mosquitto()), stack.enter_context(mosquitto())
        stack.enter_context(closing(AnsweringCloud(cloud)))
        yield Path(folder), stack.enter_context(closing(Home(home, seed))), home, cloud


def _run(seed: int, steady_s: float) -> dict[str, float]:
    with _playing(seed) as (folder, home, home_port, cloud_port):
        began = time.monotonic()
        daemon = Daemon(folder, home_port, cloud_port)
        try:
            wait_for("first reading", lambda: (s := daemon.status()) and s["accepted"] > 0, 30)
            figures = {"start_s": time.monotonic() - began}
            time.sleep(8)
            cpu, written, since = daemon.cpu_s(), daemon.written(), time.monotonic()
            time.sleep(steady_s)
            passed = time.monotonic() - since
            figures["cpu_percent"] = (daemon.cpu_s() - cpu) / passed * 100
            figures["bytes_written_per_day"] = (daemon.written() - written) / passed * _DAY_S
            figures["rss_mb"] = daemon.rss_mb()
            latencies = _falls_and_smoke(daemon, home, steady_s / 2)
            figures["alarms_timed"] = float(len(latencies))
            figures["alarm_to_flash_p50_ms"] = statistics.median(latencies)
            figures["alarm_to_flash_p99_ms"] = statistics.quantiles(latencies, n=100)[98]
            return figures | _burst(daemon, home)
        finally:
            daemon.stop()


def _profile(seed: int, seconds: float) -> list[str]:
    """The functions of the event loop's thread that cost most in a steady home."""
    with _playing(seed) as (folder, _, home_port, cloud_port):
        path = folder / "profile"
        daemon = Daemon(folder, home_port, cloud_port, profile=path)
        time.sleep(seconds)
        daemon.stop()
        stats: Any = pstats.Stats(str(path))
    rows = sorted(((row[2], row[0], where) for where, row in stats.stats.items()), reverse=True)
    return [f"{own:7.3f} s {calls:8d} calls  {Path(w[0]).name}:{w[1]} {w[2]}" for own, calls, w in rows[:20]]


def main() -> int:
    """Entry point of `scripts/bench gateway`."""
    parser = report.parser("gateway", "what the gateway costs in a home, and how late an alarm may be")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the steady part (default 60)")
    options = parser.parse_args()
    print(f"takes about {(options.runs * (options.seconds * 1.5 + 30) + 40) / 60:.0f} minutes", file=sys.stderr)
    runs = []
    for i in range(options.runs):
        runs.append(_run(i, options.seconds))
        print(f"run {i + 1}/{options.runs}: {runs[-1]}", file=sys.stderr)
    profile = _profile(0, 30)
    print("\n".join(["profile of 30 s, event loop:", *profile]))
    medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    ratio = {key: round(medians[key] / goal, 3) for key, goal in GOALS.items()}
    print("ratio to the goal (below 1 meets it): " + ", ".join(f"{key} {value}" for key, value in ratio.items()))
    known = report.versions(mosquitto=f"{mosquitto_program()} -h")
    return report.finish("gateway", options, runs, known, goals=GOALS, ratio=ratio, profile=profile)


if __name__ == "__main__":
    sys.exit(main())
