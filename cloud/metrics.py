"""Prometheus: what the roles of this process have counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

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
        for role, counts in self._parts.items():
            for name, value in sorted(counts.items()):
                if name.startswith("rejected_"):
                    refused.add_metric([name.removeprefix("rejected_")], value)
                else:
                    events.add_metric([role, name], value)
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
    server, thread = start_http_server(port, host, registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
