"""The backup, restore and upgrade of docs/operations.md, step by step, while homes send."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.bench.rig import Rig, rig
from tests.support.servers import InfluxServer, create_database, influxd_program

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(180)]
_HOMES = 50


def _fleet(bench: Rig, seed: int, duration_s: float = 4.0) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "firmware_sim.cli", "fleet", "--port", str(bench.broker_port)]
    command += ["--homes", str(_HOMES), "--interval", "0.5", "--duration", str(duration_s), "--resend", "2"]
    command += ["--json", str(bench.folder / f"fleet{seed}.json"), "--seed", str(seed)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _made(bench: Rig, seed: int) -> int:
    accounts = json.loads((bench.folder / f"fleet{seed}.json").read_text())
    assert accounts["missing"] == 0
    return int(accounts["made"])


def _audit(bench: Rig, home: str | None = None) -> dict[str, Any]:
    found = bench.folder / "audit.json"
    span = ["--from", str(time.time() - 3_600), "--to", str(time.time() + 60), "--json", str(found)]
    bench.tool("audit", "deliveries", *span, *(["--home", home] if home else []))
    return dict(json.loads(found.read_text()))


def _postgres(program: str, url: str, *arguments: str) -> None:
    path = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1] / program
    to = make_url(url)
    command = [str(path), "-h", str(to.host), "-p", str(to.port), "-U", str(to.username), "-d", str(to.database)]
    subprocess.run([*command, *arguments], check=True)


def _influx(action: str, server: InfluxServer, folder: Path) -> None:
    command = [str(influxd_program()), action, "-portable", "-host", f"127.0.0.1:{server.rpc_port}"]
    command += ["-database" if action == "backup" else "-db", "anju", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_servers_from_a_backup(tmp_path: Path) -> None:
    """Dumped while homes send; what was acknowledged before is there, and the platform goes on from it."""
    with rig(tmp_path, with_postgres=True) as bench:
        bench.configure(share_group="workers")
        bench.import_homes(_HOMES)
        bench.start_worker("ingest", "ingest", "dispatch")
        bench.wait_client("anju-ingest", 2)
        assert _fleet(bench, 1).wait(60) == 0
        made = _made(bench, 1)
        during = _fleet(bench, 2)
        time.sleep(1)
        assert bench.influx is not None
        _influx("backup", bench.influx, tmp_path / "series")
        _postgres("pg_dump", bench.database_url, "-Fc", "-f", str(tmp_path / "anju.dump"))
        assert during.wait(60) == 0
        bench.stop("ingest")
        bench.influx.stop()

        (tmp_path / "restored").mkdir()
        bench.start_influx(tmp_path / "restored")
        bench.database_url = create_database(make_url(bench.database_url).port or 0, "restored")
        _postgres("pg_restore", bench.database_url, "--exit-on-error", str(tmp_path / "anju.dump"))
        _influx("restore", bench.influx, tmp_path / "series")
        bench.configure(share_group="workers")
        bench.tool("timeseries", "check")
        before = _audit(bench)
        assert before["batches"] >= made
        assert (before["missing"], before["doubled"]) == (0, 0)
        bench.start_worker("ingest", "ingest", "dispatch")
        bench.wait_client("anju-ingest", 4)
        assert _fleet(bench, 3).wait(60) == 0
        after = _audit(bench)
        assert (after["missing"], after["doubled"]) == (0, 0)
        assert after["batches"] == before["batches"] + _made(bench, 3)


def test_embedded_parts_from_a_backup(tmp_path: Path) -> None:
    """Both files are copied by SQLite itself, without stopping anything."""
    with rig(tmp_path, influx=False) as bench:
        bench.configure()
        bench.import_homes(_HOMES)
        bench.start_worker("cloud", "ingest", "dispatch")
        bench.wait_client("anju-ingest", 2)
        assert _fleet(bench, 1).wait(60) == 0
        during = _fleet(bench, 2)
        time.sleep(1)
        for name in ("timeseries", "anju"):
            with sqlite3.connect(tmp_path / f"{name}.db") as source:
                source.execute("VACUUM INTO ?", (str(tmp_path / f"{name}.copy"),))
            source.close()
        assert during.wait(60) == 0
        bench.stop("cloud")
        for name in ("timeseries", "anju"):
            for left in tmp_path.glob(f"{name}.db*"):
                left.unlink()
            (tmp_path / f"{name}.copy").rename(tmp_path / f"{name}.db")
        bench.tool("migrate")
        before = _audit(bench)
        assert before["batches"] >= _made(bench, 1)
        assert (before["missing"], before["doubled"]) == (0, 0)
        bench.start_worker("cloud", "ingest", "dispatch")
        bench.wait_client("anju-ingest", 4)
        assert _fleet(bench, 3).wait(60) == 0
        after = _audit(bench)
        assert (after["missing"], after["doubled"]) == (0, 0)
        assert after["batches"] == before["batches"] + _made(bench, 3)
