"""Faults of ingest: whatever breaks while a fleet sends, nothing acknowledged is missing and nothing is there twice.

Each round a small fleet sends live and back-log batches to two workers on one shared subscription, while one thing is
broken: a process is killed or stopped, the store's disk is full, its password wrong, its answers slow, a worker's clock
off, or a gateway sends rubbish, duplicates and disorder. Afterwards the fleet's own accounts are compared with the
`delivery` measurement (by `audit`, without the ledger), with the count of stored values, and with the quarantine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from cloud.config import InfluxDB, TimeSeries
from cloud.ingest.audit import Deliveries, audit
from cloud.timeseries.influx.store import InfluxStore
from firmware_sim.fleet import batches
from firmware_sim.fleet.registry import gateway_name
from tests.bench.publisher import publish_all
from tests.bench.rig import Rig, rig
from tests.support.ending import end_on_sigterm
from tests.support.proxy import SlowProxy

HOMES = 60
ROUGH = 59
"""The gateway that sends rubbish; the fleet does not play it."""
_USER, _PASSWORD = "anju", "only-for-tests"
_PLAY_S = 2.5
_DISK_MB = 400
FAULTS = (
    "kill_worker", "kill_both_workers", "kill_broker", "kill_influx", "stop_worker", "stop_influx", "disk_full",
    "slow_store", "wrong_password", "clock_jump", "rough_gateway", "no_fault",
)  # fmt: skip


@dataclass(slots=True)
class Report:
    """What came of all rounds."""

    rounds: int = 0
    batches: int = 0
    lost: int = 0
    doubled: int = 0
    wrongly_refused: int = 0
    failed_seeds: list[int] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Bed:
    """The running system that is broken again and again."""

    def __init__(self, bench: Rig, disk: Path | None) -> None:
        assert bench.influx is not None
        self.bench = bench
        self.influx = bench.influx
        self.disk = disk
        self.proxy = SlowProxy(self.influx.port)
        self.clock = bench.folder / "clock-offset"
        self._command([f"CREATE USER {_USER} WITH PASSWORD '{_PASSWORD}' WITH ALL PRIVILEGES"], signed_in=False)
        self._configure()
        bench.import_homes(HOMES)
        for name in ("worker-a", "worker-b"):
            self.start_worker(name)
        bench.wait_client("anju-ingest", 4)

    def _configure(self) -> None:
        bench = self.bench
        secret = bench.folder / "influx.password"
        secret.write_text(_PASSWORD)
        path = bench.folder / "cloud.toml"
        path.write_text(
            f'log_format = "json"\n[broker]\nport = {bench.broker_port}\nshare_group = "anju"\n'
            f'[database]\nurl = "{bench.database_url}"\n'
            f'[timeseries.influxdb]\nurl = "http://127.0.0.1:{self.proxy.port}"\nusername = "{_USER}"\n'
            f'password_file = "{secret}"\ntimeout_s = 3\n[ingest]\nflush_interval_s = 0.05\nledger_interval_s = 2\n'
            "[metrics]\nport = 0\n"
        )
        bench.tool("migrate")

    def close(self) -> None:
        """Break the connections to the store."""
        self.proxy.close()

    def start_worker(self, name: str) -> None:
        """A worker whose clock can be put off."""
        command = [sys.executable, "-m", "tests.faults.jumping", str(self.clock), "run", "ingest"]
        self.bench.spawn(name, [*command, "--config", str(self.bench.folder / "cloud.toml")])

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self.bench.processes.pop(name)
        process.kill()
        process.wait()

    def _command(self, statements: Sequence[str], *, signed_in: bool = True, password: str = _PASSWORD) -> None:
        auth = (_USER, password) if signed_in else None
        for statement in statements:
            url = f"{self.influx.url}/query"
            httpx.post(url, data={"q": statement}, auth=auth, trust_env=False, timeout=20).raise_for_status()

    def set_password(self, old: str, new: str) -> None:
        """Change what the server accepts."""
        self._command([f"SET PASSWORD FOR {_USER} = '{new}'"], password=old)

    def values(self) -> int:
        """How many heart rates are stored."""
        params = {"db": "anju", "q": "SELECT count(heart_rate) FROM vitals"}
        answer = httpx.get(
            f"{self.influx.url}/query", params=params, auth=(_USER, _PASSWORD), trust_env=False, timeout=30
        )
        series = answer.raise_for_status().json()["results"][0].get("series")
        return int(series[0]["values"][0][1]) if series else 0

    def held(self) -> int:
        """How many messages are in quarantine."""
        url = self.bench.database_url.replace("postgresql+psycopg", "postgresql")
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT count(*) FROM quarantine").fetchone()
        return int(row[0]) if row else 0

    def audited(self) -> Deliveries:
        """Everything since the beginning, straight from the server."""

        async def read() -> Deliveries:
            section = InfluxDB(url=self.influx.url, username=_USER)
            store = InfluxStore(TimeSeries(influxdb=section), _PASSWORD)
            await store.server.open()
            try:
                return await audit(store, time.time() - 86_400, time.time() + 3_600)
            finally:
                await store.close()

        return asyncio.run(read())


class Breaker:
    """Breaks one thing in the middle of a round and mends it."""

    def __init__(self, bed: Bed, rng: random.Random) -> None:
        self._bed = bed
        self._rng = rng
        self.rough_good = 0
        self.rough_bad = 0

    def run(self, fault: str) -> None:
        """Break and mend. The waiting times are drawn from the round's seed."""
        time.sleep(self._rng.uniform(0.2, 1.2))
        action: Callable[[], None] = getattr(self, f"_{fault}")
        action()

    def _pause(self, most: float = 1.5) -> None:
        time.sleep(self._rng.uniform(0.05, most))

    def _no_fault(self) -> None:
        self._pause(0.1)

    def _kill_worker(self) -> None:
        name = self._rng.choice(("worker-a", "worker-b"))
        self._bed.kill(name)
        self._pause()
        self._bed.start_worker(name)

    def _kill_both_workers(self) -> None:
        for name in ("worker-a", "worker-b"):
            self._bed.kill(name)
        self._pause()
        for name in ("worker-a", "worker-b"):
            self._bed.start_worker(name)

    def _kill_broker(self) -> None:
        bench = self._bed.bench
        self._bed.kill("mosquitto")
        self._pause()
        bench.start_broker()

    def _kill_influx(self) -> None:
        os.kill(self._bed.influx.pid, signal.SIGKILL)
        self._bed.influx.stop()
        self._pause()
        self._bed.influx.start()

    def _stop(self, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(30)
        os.kill(pid, signal.SIGCONT)

    def _stop_worker(self) -> None:
        self._stop(self._bed.bench.processes[self._rng.choice(("worker-a", "worker-b"))].pid)

    def _stop_influx(self) -> None:
        self._stop(self._bed.influx.pid)

    def _disk_full(self) -> None:
        assert self._bed.disk is not None
        filler = self._bed.disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 65_536)
            except OSError:
                pass
        self._pause(3)
        # As docs/operations.md tells: InfluxDB 1.8 cuts off a half-written entry when it starts, but goes on writing
        # behind the place where it was, and at its next start takes all of that for torn. So no one writes until it
        # has been started twice.
        self._bed.proxy.refuses = True
        self._bed.influx.stop()
        filler.unlink()
        for _ in range(2):
            self._bed.influx.start()
            self._bed.influx.stop()
        self._bed.influx.start()
        self._bed.proxy.refuses = False

    def _slow_store(self) -> None:
        self._bed.proxy.delay_s = self._rng.choice((0.5, 1.5, 4.0))  # the last is beyond the client's patience
        self._pause(4)
        self._bed.proxy.delay_s = 0.0

    def _wrong_password(self) -> None:
        self._bed.set_password(_PASSWORD, "another")
        self._pause(2.5)
        self._bed.set_password("another", _PASSWORD)

    def _clock_jump(self) -> None:
        self._bed.clock.write_text(str(self._rng.choice((-7_200, -400, 400, 7_200, 100 * 86_400))))
        self._pause(2)
        self._bed.clock.write_text("0")

    def _rough_gateway(self) -> None:
        """Good batches twice and in disorder, and among them what no one can take."""
        rng = self._rng
        epoch = f"{rng.getrandbits(64):016x}"
        topic = f"anju/v1/{gateway_name(ROUGH)}/up/telemetry".encode()
        now = int(time.time() * 1000)
        good = [batches.batch(epoch, "live", ROUGH, seq, now + seq) for seq in range(1, 41)]
        bad = [
            b"\xff\x00 rubbish",
            b"x" * 70_000,
            good[0].replace(b'"v":1,', b'"v":9,', 1),
            good[1].replace(b'"lane":"live"', b'"lane":"alarm"'),
            good[2].replace(b'"seq":3', b'"seq":9000000000'),
            good[3].replace(b"heart_rate", b"heart_beat"),
        ]
        self.rough_good, self.rough_bad = len(good), len(bad)
        messages = [(topic, body) for body in (*good, *rng.sample(good, 15), *bad)]
        rng.shuffle(messages)
        assert publish_all(self._bed.bench.broker_port, messages) == len(messages)


def _play(bed: Bed, seed: int, report: Report, faults: Sequence[str]) -> None:
    rng = random.Random(seed)
    fault = rng.choice(faults)
    report.faults[fault] = report.faults.get(fault, 0) + 1
    before = bed.audited().batches, bed.values(), bed.held()
    result = bed.bench.folder / "fleet.json"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "firmware_sim.cli", "fleet", "--port", str(bed.bench.broker_port)]
    command += ["--homes", str(ROUGH), "--connections", "3", "--interval", "0.5s", "--duration", f"{_PLAY_S}s"]
    command += ["--resend", "2s", "--drain", "90s", "--outage", "4m", "--seed", str(seed), "--json", str(result)]
    fleet = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    breaker = Breaker(bed, rng)
    try:
        breaker.run(fault)
    finally:
        fleet.wait(150)
    accounts: dict[str, Any] = json.loads(result.read_text())
    expected = accounts["acknowledged"] + breaker.rough_good
    found = _settled(bed, before, expected, breaker.rough_bad)
    proven, values, refused = found.batches - before[0], bed.values() - before[1], bed.held() - before[2]
    # of the rough gateway's batch with an unknown metric the other nine values are stored: it is good and bad at once
    lost = accounts["missing"] + max(0, expected - proven) + max(0, expected - values) + found.missing_count
    doubled = found.doubled_count + max(0, proven - expected) + max(0, values - expected)
    wrong = accounts["rejected"] + abs(refused - breaker.rough_bad)
    report.rounds += 1
    report.batches += accounts["made"] + breaker.rough_good
    report.lost += lost
    report.doubled += doubled
    report.wrongly_refused += wrong
    if lost or doubled or wrong:
        report.failed_seeds.append(seed)
        report.notes.append(
            f"seed {seed} {fault}: lost {lost}, doubled {doubled}, wrongly refused {wrong}; expected {expected},"
            f" proven {proven}, values {values}, refused {refused}, accounts {accounts}"
        )


def _settled(bed: Bed, before: tuple[int, int, int], expected: int, bad: int) -> Deliveries:
    """Wait for what a rough gateway sent without asking for answers; the fleet's own is settled already."""
    end = time.monotonic() + 15
    while True:
        found = bed.audited()
        done = found.batches - before[0] >= expected and bed.held() - before[2] >= bad
        if done or time.monotonic() > end:
            return found
        time.sleep(0.2)


def run(rounds: int, seed: int, folder: Path, *, patience: bool = True, only: Sequence[str] | None = None) -> Report:
    """Run all rounds on one bed. Without `patience` the faults that last 30 s are left out."""
    report = Report()
    disk = _small_disk(folder)
    faults = [f for f in FAULTS if disk is not None or f != "disk_full"]
    if not patience:
        faults = [f for f in faults if not f.startswith("stop_")]
    faults = [f for f in faults if only is None or f in only]
    if disk is None:
        report.notes.append("disk_full left out: no right to mount a small file system here")
    try:
        with ExitStack() as stack, rig(folder, influx=False, with_postgres=True) as bench:
            bench.start_influx(disk or folder, auth=True)
            try:
                bed = stack.enter_context(closing(Bed(bench, disk)))
                for i in range(rounds):
                    _play(bed, seed + i, report, faults)
                    print(
                        f"round {i + 1}/{rounds} seed {seed + i}: lost {report.lost}, doubled {report.doubled}, "
                        f"wrongly refused {report.wrongly_refused}",
                        file=sys.stderr,
                        flush=True,
                    )
            finally:
                bench.stop()
                stack.close()
    finally:
        if disk is not None:
            subprocess.run(["umount", str(disk)], check=False)
    return report


def _small_disk(folder: Path) -> Path | None:
    """A file system of its own for the store, that can be filled; None without the right to mount."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return None
    disk = folder / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    return disk if done.returncode == 0 else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `scripts/faults ingest`; the exit code is 1 if anything was lost, doubled or wrongly refused."""
    end_on_sigterm()
    parser = argparse.ArgumentParser(prog="scripts/faults ingest", description="break ingest while a fleet sends")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="round i uses seed + i")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    parser.add_argument("--only", choices=FAULTS, action="append", help="only these faults (may be repeated)")
    parser.add_argument("--no-stops", action="store_true", help="leave out the faults that last 30 s")
    options = parser.parse_args(arguments)
    print(f"takes about {options.rounds * 10 / 60:.0f} minutes", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="anju-faults-") as folder:
        report = run(options.rounds, options.seed, Path(folder), patience=not options.no_stops, only=options.only)
    text = json.dumps(asdict(report), indent=1, ensure_ascii=False)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    return 1 if report.failed_seeds else 0


if __name__ == "__main__":
    sys.exit(main())
