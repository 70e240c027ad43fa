"""Broker, time series, database and workers of a benchmark as processes whose CPU time and memory can be read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec
import psutil

from firmware_sim.fleet.registry import fleet_registry
from tests.support.mosquitto import free_port, mosquitto_program, wait_for_port
from tests.support.servers import InfluxServer, create_database, postgres

BROKER = """listener {port} 127.0.0.1
allow_anonymous true
max_inflight_messages 0
max_queued_messages 0
max_queued_bytes 0
set_tcp_nodelay true
"""


@dataclass(slots=True)
class Usage:
    """CPU seconds and memory of one process."""

    cpu_s: float
    rss_mb: float
    peak_rss_mb: float


@dataclass(slots=True)
class Rig:
    """All processes by name."""

    folder: Path
    broker_port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    database_url: str = ""
    influx: InfluxServer | None = None
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start_broker(self) -> None:
        """Mosquitto without bounds on what it queues."""
        (self.folder / "mosquitto.conf").write_text(BROKER.format(port=self.broker_port))
        self.spawn("mosquitto", [mosquitto_program(), "-c", str(self.folder / "mosquitto.conf")])
        wait_for_port(self.broker_port)

    def start_influx(self, folder: Path | None = None, *, auth: bool = False) -> None:
        """InfluxDB 1.8.10, with its data in `folder`/influx."""
        place = (folder or self.folder) / "influx"
        place.mkdir(exist_ok=True)
        self.influx = InfluxServer(place, auth=auth)
        self.influx.start()

    def configure(self, *, share_group: str | None = None, more: str = "") -> Path:
        """The cloud's configuration, migrated."""
        path = self.folder / "cloud.toml"
        url = self.database_url or f"sqlite+aiosqlite:///{self.folder}/anju.db"
        store = f'[timeseries]\nsqlite_path = "{self.folder}/timeseries.db"\n'
        if self.influx is not None:
            store = f'[timeseries.influxdb]\nurl = "{self.influx.url}"\n'
        group = f'share_group = "{share_group}"\n' if share_group else ""
        path.write_text(
            f'log_format = "json"\nlog_level = "warning"\n[broker]\nport = {self.broker_port}\n{group}'
            f'[database]\nurl = "{url}"\n{store}[api]\nport = {self.api_port}\nsecure_cookie = false\n'
            f"[metrics]\nport = 0\n{more}"
        )
        self.tool("migrate")
        return path

    def tool(self, *arguments: str) -> str:
        """Run anju-cloud to its end; returns what it prints."""
        command = [sys.executable, "-m", "cloud.cli", *arguments, "--config", str(self.folder / "cloud.toml")]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def import_homes(self, homes: int) -> None:
        """The invented district."""
        path = self.folder / "registry.json"
        path.write_bytes(msgspec.json.encode(fleet_registry(homes)))
        self.tool("registry", "import", str(path))

    def start_worker(self, name: str = "worker", *roles: str) -> None:
        """An ingest worker, or other roles, as a process."""
        command = [sys.executable, "-m", "cloud.cli", "run", *(roles or ("ingest",))]
        self.spawn(name, [*command, "--config", str(self.folder / "cloud.toml")])

    def spawn(self, name: str, command: list[str], **environment: str) -> None:
        """Start a process that logs to NAME.log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | environment
            )

    def wait_client(self, name: str, count: int = 1, timeout_s: float = 90.0) -> None:
        """Return once so many clients whose id holds `name` have connected and had time to subscribe."""
        end = time.monotonic() + timeout_s
        while sum(name in x for x in self._broker_log() if "New client connected" in x) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{name} does not connect to the broker")
            time.sleep(0.1)
        time.sleep(1)

    def _broker_log(self) -> list[str]:
        return (self.folder / "mosquitto.log").read_text(errors="replace").splitlines()

    def usage(self, name: str) -> Usage:
        """What a process has used so far."""
        pid = self.influx.pid if name == "influxd" and self.influx is not None else self.processes[name].pid
        process = psutil.Process(pid)
        times = process.cpu_times()
        peak = next(
            (
                int(line.split()[1]) / 1024
                for line in Path(f"/proc/{pid}/status").read_text().splitlines()
                if line.startswith("VmHWM")
            ),
            0.0,
        )
        return Usage(times.user + times.system, process.memory_info().rss / 2**20, peak)

    def files(self, name: str) -> int:
        """Open file descriptors of a process."""
        return psutil.Process(self.processes[name].pid).num_fds()

    def stop(self, *names: str) -> None:
        """Stop these, or all."""
        for name in names or tuple(reversed(self.processes)):
            process = self.processes.pop(name)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def wait_idle(self, name: str, quiet_s: float = 2.0, timeout_s: float = 300.0) -> None:
        """Return once a process has used next to no CPU for `quiet_s`."""
        end = time.monotonic() + timeout_s
        last, since = self.usage(name).cpu_s, time.monotonic()
        while time.monotonic() - since < quiet_s:
            time.sleep(0.25)
            now = self.usage(name).cpu_s
            if now - last > 0.02:
                last, since = now, time.monotonic()
            if time.monotonic() > end:
                raise TimeoutError(f"{name} is busy for more than {timeout_s:.0f} s")

    def count(self, query: str) -> int:
        """First figure of an InfluxQL query; 0 if there is none."""
        assert self.influx is not None
        answer = httpx.get(f"{self.influx.url}/query", params={"db": "anju", "q": query}, trust_env=False, timeout=120)
        series = answer.json()["results"][0].get("series")
        return int(series[0]["values"][0][1]) if series else 0


@contextmanager
def rig(folder: Path, *, influx: bool = True, with_postgres: bool = False) -> Iterator[Rig]:
    """A rig with its servers; all is stopped afterwards."""
    made = Rig(folder)
    try:
        if influx:
            made.start_influx()
        made.start_broker()
        if with_postgres:
            with postgres(folder) as port:
                made.database_url = create_database(port, "anju")
                try:
                    yield made
                finally:
                    made.stop()
        else:
            yield made
    finally:
        made.stop()
        if made.influx is not None:
            made.influx.stop()
