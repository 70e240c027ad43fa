"""Prometheus: what the roles of this process have counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

ACK_LATENCY = Histogram(
    "anju_ingest_ack_seconds",
    "From the arrival of a flush's first batch to its acknowledgement",
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30, 60),
    registry=None,
)
STORE_WRITE = Histogram(
    "anju_timeseries_write_seconds",
    "One write to the time-series store",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=None,
)
ALARM_LATENCY = Histogram(
    "anju_ingest_alarm_seconds",
    "From the arrival of an alarm event to its commit",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    registry=None,
)
HISTOGRAMS = (ACK_LATENCY, STORE_WRITE, ALARM_LATENCY)

Gauges = Callable[[], dict[str, float]]


class CloudMetrics(Collector):
    """Turns counters into metrics when somebody asks."""

    def __init__(self, parts: dict[str, Counter[str]], gauges: Gauges) -> None:
        self._parts = parts
        self._gauges = gauges

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """The metrics of this moment."""
        refused = CounterMetricFamily(
            "anju_ingest_rejected", "Messages or values put into quarantine", labels=["reason"]
        )
        events = CounterMetricFamily("anju_cloud_events", "What the roles have done", labels=["role", "event"])
        reasons: Counter[str] = Counter()
        for role, counts in self._parts.items():
            for name, value in sorted(counts.items()):
                if name.startswith("rejected_"):
                    reasons[name.removeprefix("rejected_")] += value
                else:
                    events.add_metric([role, name], value)
        for reason, value in sorted(reasons.items()):
            refused.add_metric([reason], value)
        yield refused
        yield events
        for name, level in self._gauges().items():
            gauge = GaugeMetricFamily(f"anju_cloud_{name}", name.replace("_", " "))
            gauge.add_metric([], level)
            yield gauge


def serve(host: str, port: int, parts: dict[str, Counter[str]], gauges: Gauges) -> Callable[[], None]:
    """Serve /metrics from a thread; returns what stops it. Raises OSError."""
    registry = CollectorRegistry()
    registry.register(CloudMetrics(parts, gauges))
    for histogram in HISTOGRAMS:
        registry.register(histogram)
    server, thread = start_http_server(port, host, registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
