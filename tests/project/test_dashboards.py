"""Every metric and field that a panel names exists: in what a worker really serves, and in the registry of metrics."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import httpx
import pytest

from cloud import metrics
from cloud.context import Context
from cloud.ingest.worker import AlarmWorker, TelemetryWorker
from cloud.rollup.job import RollupJob
from cloud.timeseries.sqlite import SqliteStore
from protocols.metrics import METRICS, Measurement
from tests.support.mosquitto import free_port

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
_COUNTED = (
    "telemetry_batches",
    "telemetry_overflow",
    "telemetry_duplicates",
    "telemetry_values",
    "telemetry_store_error",
    "control_store_error",
    "ledger_error",
    "clock_doubted",
)


def _queries(name: str, key: str) -> list[str]:
    board = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return [target[key] for panel in board["panels"] for target in panel["targets"]]


async def test_prometheus_panels_name_what_is_served(context: Context, tmp_path: Path) -> None:
    """A worker's gauges and histograms, the counters by the names the code counts, and nothing else."""
    store = SqliteStore(tmp_path / "t.db")
    await store.open()
    alarms, telemetry, job = AlarmWorker(context), TelemetryWorker(context, store), RollupJob(context, store)
    await job.step()
    port = free_port()
    counts: Counter[str] = Counter(dict.fromkeys(_COUNTED, 1) | {"rejected_malformed": 1})
    measures = (alarms.gauges, telemetry.gauges, job.gauges)
    parts = {"alarms": counts, "telemetry": counts}
    stop = metrics.serve("127.0.0.1", port, parts, lambda: {k: v for one in measures for k, v in one().items()})
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            served = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    finally:
        stop()
        await store.close()
    known = set(re.findall(r"^([a-z_]+)(?:\{| )", served, re.MULTILINE))
    queries = _queries("ingest-prometheus.json", "expr")
    assert len(queries) > 15
    for query in queries:
        assert set(re.findall(r"\banju_[a-z_]+", query)) <= known, query
        for event in re.findall(r'event="([a-z_]+)"', query):
            assert event in _COUNTED
    source = "".join(path.read_text() for path in (Path(metrics.__file__).parent / "ingest").glob("*.py"))
    for event in _COUNTED:
        assert f'"{event}"' in source, f"nobody counts {event}"


@pytest.mark.parametrize("query", _queries("homes-influxdb.json", "query"))
def test_influx_panels_name_real_fields(query: str) -> None:
    """Each field belongs to the measurement it is asked of; roll-ups by their figures."""
    measurement = re.search(r'FROM (?:"rollup"\.)?"([a-z0-9_]+)"', query)
    assert measurement is not None
    name = measurement[1]
    fields = set(re.findall(r'\("([a-z0-9_]+)"\)', query))
    assert fields
    if name == "delivery":
        assert fields <= {"seq", "count", "epoch"}
        return
    base, _, rolled = name.partition("_15min")
    own = {m.name for m in METRICS.values() if m.measurement is Measurement(base)}
    if name != base:
        own = {f"{metric}_{figure}" for metric in own for figure in ("count", "last", "min", "max", "mean")}
    assert not rolled
    assert fields <= own
