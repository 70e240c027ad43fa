"""What is counted can be read by Prometheus."""

from __future__ import annotations

from collections import Counter

import httpx

from cloud import metrics
from tests.support.mosquitto import free_port


def test_refusals_are_counted_by_reason() -> None:
    """Quarantined messages by reason, other events by role, gauges as they are now."""
    counts: Counter[str] = Counter({"rejected_out_of_range": 3, "telemetry_batches": 7})
    port = free_port()
    stop = metrics.serve("127.0.0.1", port, {"ingest": counts}, lambda: {"telemetry_waiting": 2.0})
    try:
        counts["rejected_malformed"] += 1
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    finally:
        stop()
    lines = text.splitlines()
    assert 'anju_ingest_rejected_total{reason="out_of_range"} 3.0' in lines
    assert 'anju_ingest_rejected_total{reason="malformed"} 1.0' in lines
    assert 'anju_cloud_events_total{event="telemetry_batches",role="ingest"} 7.0' in lines
    assert "anju_cloud_telemetry_waiting 2.0" in lines
