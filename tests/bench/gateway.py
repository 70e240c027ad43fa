"""What a gateway costs in a home, how soon an alarm is on flash, and what ten thousand messages a second do to it.

The daemon runs as shipped (default configuration, provisioned, the environment of its systemd unit with a cache of
compiled modules that one start has filled) between two real brokers, with a cloud that answers. Steady: memory, CPU,
bytes written. Then falls, smoke and its end: from the publishing of the message that causes the alarm to the log line
that says it is on flash. Then the burst, with smoke every half second.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.bench import report
from tests.bench.gateway_alarms import Event, Timed, caused, of_falls, of_flags
from tests.bench.gateway_home import WEARABLES, Home, devices_toml
from tests.support.authority import make_authority, provisioned, shipped_broker
from tests.support.chain import wait_for
from tests.support.gateway import GATEWAY, AnsweringCloud, as_shipped, ask_status, wiring
from tests.support.mosquitto import free_port, mosquitto, mosquitto_program

GOALS = {
    "rss_mb": 60.0,
    "cpu_percent": 2.0,
    "alarm_to_flash_p99_ms": 50.0,
    "start_s": 2.0,
    "burst_alarm_latest_ms": 1_000.0,
}
_DAY_S = 86_400.0
_BURST_S = 10.0
_FALL_EVERY_S = 8.0
"""Either wearable falls every 16 s: within 15 s a second impact is the same fall."""
_ANSWERED_AFTER_S = 6.0
_WORST = 5
_CONFIG = """[clock]
wait_for_time_s = 0
[alarms]
merge_s = 1
question_s = 2
[metrics]
port = {metrics}
"""
_START = "import sys; sys.modules['rich'] = sys.modules['greenlet'] = None; from edge.cli import main; sys.exit(main())"
"""As on a Raspberry Pi: the extra [edge] brings neither; structlog loads them where it finds them."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a daemon runs in: a folder of its own, the home, the ports of both brokers, its certificate's lines of
    configuration, and the cache of compiled modules.
    """

    folder: Path
    home: Home
    home_port: int
    cloud_port: int
    tls: str
    compiled: Path


class Daemon:
    """One life of the gateway."""

    def __init__(self, around: Around, *, profile: Path | None = None) -> None:
        self.data = around.folder / "data"
        self._log = around.folder / "gateway.log"
        config = around.folder / "gateway.toml"
        wired = wiring(self.data, around.home_port, around.cloud_port, tls=around.tls)
        config.write_text(wired + _CONFIG.format(metrics=free_port()) + devices_toml())
        started = ["-c", _START] if profile is None else ["-m", "cProfile", "-o", str(profile), "-m", "edge.cli"]
        command = [sys.executable, *started, "run", "--config", str(config)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | as_shipped(around.compiled)
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

    def alarms(self) -> list[Event]:
        """Alarm events that are on flash, with the time of the log line."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [json.loads(x) for x in lines if '"event": "alarm_state"' in x and x.endswith("}")]

    def stop(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def _falls_and_smoke(daemon: Daemon, home: Home, seconds: float) -> list[Timed]:
    """All alarms that these caused: smoke begins and ends five times a second, each wearable falls in turn."""
    began = time.time()
    fallen, smoke = 0, False
    lying: str | None = None
    while (passed := time.time() - began) < seconds:
        smoke = not smoke
        home.flag("smoke-1", "smoke", smoke)
        if lying is None and passed >= fallen * _FALL_EVERY_S:
            lying, fallen = WEARABLES[fallen % len(WEARABLES)], fallen + 1
            home.fall(lying)
        elif lying is not None and passed >= (fallen - 1) * _FALL_EVERY_S + _ANSWERED_AFTER_S:
            home.stand_up(lying)
            home.cancel()
            lying = None
        time.sleep(0.2)
    if smoke:
        home.flag("smoke-1", "smoke", False)
    return of_falls(daemon.alarms(), home.frames) + _smoke(daemon, home, "smoke-1")


def _smoke(daemon: Daemon, home: Home, device: str) -> list[Timed]:
    """All that a detector of smoke has raised and cleared, once everything is on flash."""
    flags = list(home.flags[device])

    def on_flash() -> list[Event]:
        return [event for event in daemon.alarms() if (event["kind"], event["device"]) == ("smoke", device)]

    wait_for(f"alarms of {device}", lambda: len(on_flash()) >= caused(flags), 60)
    return of_flags(on_flash(), flags)


def _burst(daemon: Daemon, home: Home) -> dict[str, float]:
    """Ten seconds of flood, with smoke that begins and ends in it."""
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
    late = [alarm.total_ms for alarm in _smoke(daemon, home, "smoke-2")]
    status = daemon.status()
    return {
        "burst_sent": float(sent[0]),
        "burst_alarm_latest_ms": max(late),
        "burst_accepted": float(status["accepted"]),
        "burst_dropped": float(status["home_events"].get("incoming_dropped", 0)),
        "burst_peak_rss_mb": daemon.peak_rss_mb(),
    }


@contextmanager
def _playing(seed: int, compiled: Path) -> Iterator[Around]:
    """A home that plays, and both brokers; the cloud's is as deploy/ ships it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="anju-bench-")))
        tls = provisioned(folder / "data", make_authority(folder, time.time()), GATEWAY, time.time())
        home_port = stack.enter_context(mosquitto())
        tls_port, cloud_port = stack.enter_context(shipped_broker(folder))
        stack.enter_context(closing(AnsweringCloud(cloud_port)))
        home = stack.enter_context(closing(Home(home_port, seed)))
        yield Around(folder, home, home_port, tls_port, tls, compiled)


def _started_s(daemon: Daemon) -> float:
    """Seconds from now to its first reading."""
    began = time.monotonic()
    wait_for("first reading", lambda: (s := daemon.status()) and s["accepted"] > 0, 120)
    return time.monotonic() - began


def _run(seed: int, seconds: float, compiled: Path) -> tuple[dict[str, float], list[Timed]]:
    """The figures, and every alarm that was timed."""
    with _playing(seed, compiled) as around:
        daemon = Daemon(around)
        try:
            figures = {"start_s": _started_s(daemon)}
            time.sleep(8)
            cpu, written, since = daemon.cpu_s(), daemon.written(), time.monotonic()
            time.sleep(seconds)
            passed = time.monotonic() - since
            figures["cpu_percent"] = (daemon.cpu_s() - cpu) / passed * 100
            figures["bytes_written_per_day"] = (daemon.written() - written) / passed * _DAY_S
            alarms = _falls_and_smoke(daemon, around.home, seconds)
            figures["rss_mb"] = daemon.rss_mb()  # what the first fall needs is there from then on
            return figures | _latencies(alarms) | _burst(daemon, around.home), alarms
        finally:
            daemon.stop()


def _latencies(alarms: list[Timed]) -> dict[str, float]:
    all_ms = [alarm.total_ms for alarm in alarms]
    return {
        "alarms_timed": float(len(alarms)),
        "falls_timed": float(sum(alarm.kind == "fall" for alarm in alarms)),
        "alarm_to_flash_p50_ms": statistics.median(all_ms),
        "alarm_to_flash_p99_ms": statistics.quantiles(all_ms, n=100, method="inclusive")[98],
        "alarm_to_flash_worst_ms": max(all_ms),
    }


def _first_start_s(compiled: Path) -> float:
    """Where nothing is compiled yet, as after an installation or an upgrade."""
    with _playing(0, compiled) as around:
        daemon = Daemon(around)
        try:
            return _started_s(daemon)
        finally:
            daemon.stop()


def _profile(seed: int, seconds: float, compiled: Path) -> list[str]:
    """The functions of the event loop's thread that cost most in a steady home."""
    with _playing(seed, compiled) as around:
        path = around.folder / "profile"
        daemon = Daemon(around, profile=path)
        time.sleep(seconds)
        daemon.stop()
        stats: Any = pstats.Stats(str(path))
    rows = sorted(((row[2], row[0], where) for where, row in stats.stats.items()), reverse=True)
    return [f"{own:7.3f} s {calls:8d} calls  {Path(w[0]).name}:{w[1]} {w[2]}" for own, calls, w in rows[:20]]


def main() -> int:
    """Entry point of `scripts/bench gateway`."""
    parser = report.parser("gateway", "what the gateway costs in a home, and how late an alarm may be")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the steady part (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the first run's home (default 0)")
    options = parser.parse_args()
    print(f"takes about {(options.runs * (options.seconds * 2 + 40) + 60) / 60:.0f} minutes", file=sys.stderr)
    runs, alarms = [], []
    with tempfile.TemporaryDirectory(prefix="anju-compiled-") as compiled:
        first_start_s = _first_start_s(Path(compiled))
        for i in range(options.runs):
            figures, timed = _run(options.seed + i, options.seconds, Path(compiled))
            runs.append(figures | {"first_start_s": first_start_s})
            alarms += timed
            print(f"run {i + 1}/{options.runs}: {runs[-1]}", file=sys.stderr)
        profile = _profile(0, 30, Path(compiled))
    print("\n".join(["profile of 30 s, event loop:", *profile]))
    worst = [str(alarm) for alarm in sorted(alarms, key=lambda a: -a.total_ms)[:_WORST]]
    print("\n".join([f"the latest {len(worst)} of {len(alarms)} alarms:", *worst]))
    medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    ratio = {key: round(medians[key] / goal, 3) for key, goal in GOALS.items()}
    print("ratio to the goal (below 1 meets it): " + ", ".join(f"{key} {value}" for key, value in ratio.items()))
    known = report.versions(mosquitto=f"{mosquitto_program()} -h")
    return report.finish("gateway", options, runs, known, goals=GOALS, ratio=ratio, profile=profile, worst=worst)


if __name__ == "__main__":
    sys.exit(main())
