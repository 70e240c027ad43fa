"""The fleet: its payloads, its command line, and its accounts against a real broker and a real worker."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from firmware_sim.cli import main
from firmware_sim.fleet import batches
from firmware_sim.fleet.registry import fleet_registry
from protocols.telemetry import TimeBounds, read_records
from protocols.wire import decode_telemetry
from tests.bench.rig import rig

NOW_MS = 1_795_000_000_250


def test_batches_are_what_the_contract_asks() -> None:
    """Ten values in range, the same again for the same number, others for others."""
    seen = set()
    for home, seq in [(0, 1), (5, 1), (5, 2), (102_999, 7)]:
        body = batches.batch("00000000000000aa", "backlog", home, seq, NOW_MS)
        assert body == batches.batch("00000000000000aa", "backlog", home, seq, NOW_MS)
        batch = decode_telemetry(body)
        readings, errors = read_records(batch.records, NOW_MS / 1000, TimeBounds())
        assert (len(readings), errors) == (batches.VALUES, [])
        assert {r.at_ms for r in readings} == {NOW_MS}
        assert (batch.lane, batch.seq, batch.sent) == ("backlog", seq, NOW_MS / 1000)
        seen.add(tuple(r.value for r in readings))
        assert json.loads(batches.flat(home, seq, NOW_MS))["heart_rate"] == readings[0].value
    assert len(seen) == 4


def test_registry_spreads_homes_over_the_sub_districts() -> None:
    """Ten sub-districts, each home with its gateway."""
    made = fleet_registry(1_000)
    assert len({home["sub_district"] for home in made["homes"]}) == 10
    assert len({gateway["home_id"] for gateway in made["gateways"]}) == 1_000


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--homes", "0"], 2), (["--connections", "9999999"], 2), (["--port", "9", "--duration", "1s"], 1)],
)
def test_mistakes_are_named(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """An impossible wish or an absent broker ends with a line that says so."""
    assert main(["fleet", *arguments]) == code
    assert capsys.readouterr().err.startswith("anju-sim: ")


@pytest.mark.xdist_group("processes")
def test_everything_is_accounted_for(tmp_path: Path) -> None:
    """Live batches, an outage's back-log and alarms: made, sent, acknowledged, and the audit agrees."""
    with rig(tmp_path, influx=False) as bed:
        bed.configure()
        bed.import_homes(40)
        bed.start_worker("worker", "ingest", "dispatch")
        bed.wait_client("anju-ingest", 2)
        result, alarms = tmp_path / "fleet.json", tmp_path / "alarms"
        command = [sys.executable, "-m", "firmware_sim.cli", "fleet", "--port", str(bed.broker_port), "--homes", "40"]
        command += ["--connections", "3", "--interval", "0.5s", "--duration", "3s", "--outage", "5m", "--births"]
        command += ["--alarms", "2", "--json", str(result), "--alarm-log", str(alarms)]
        assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL, timeout=90).returncode == 0
        accounts = json.loads(result.read_text())
        assert accounts["made"] == accounts["acknowledged"] > 40 * 5 + 200
        assert (accounts["missing"], accounts["rejected"], accounts["alarms_missing"]) == (0, 0, 0)
        assert len(alarms.read_text().splitlines()) == accounts["alarms"] >= 5
        assert accounts["commands"] >= 1, "what the cloud says about an alarm is answered"
        assert accounts["ack_p50_ms"] < 5_000
        out = bed.tool("audit", "deliveries", "--from", "2026-01-01", "--to", "2099-01-01")
        assert f"{accounts['made']:,} batches of 40 gateways: 0 missing, 0 doubled" in out
