"""What Prometheus reads on loopback: every queue, drop and state of the gateway, by the names of docs/gateway.md.

The numbers are taken together on the event loop, where nothing moves; the text is made on a thread. What makes it is
imported by the first scrape: a megabyte and a half that a home which nobody scrapes does not pay.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from prometheus_client import Metric

log = structlog.get_logger()

PREFIX = "anju_gateway_"
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name without the prefix and `_total`, what it says, and the names of its labels."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    counter: bool = False


def _gauge(name: str, text: str, *labels: str) -> Family:
    return Family(name, text, labels)


def _counter(name: str, text: str, *labels: str) -> Family:
    return Family(name, text, labels, counter=True)


FAMILIES: tuple[Family, ...] = (
    _gauge("version", "1, with the version of the software", "version"),
    _gauge("config_version", "Version of the cloud's configuration in force; 0 is the local file alone"),
    _gauge("clock", "1 for the state of the clock", "state"),
    _gauge("fault", "1 for each fault that is open", "cause"),
    _gauge("questions_open", "Questions the resident has not answered yet"),
    _counter("accepted", "Readings and frames accepted"),
    _counter("rejected", "Input refused, and what did not fit", "reason", "source"),
    _gauge("unknown_devices", "Devices heard that are not configured"),
    _gauge("readings_waiting", "Readings in memory, not on flash yet"),
    _counter("detector", "What the detectors looked at, left out and failed at", "event"),
    _counter("memory", "Saves of the detectors' memory", "event"),
    _counter("alarms", "What the alarm logic merged, repeated and left out", "event"),
    _counter("alarms_stored", "Alarm events put on flash"),
    _counter("alarm_store_seconds", "Seconds that putting alarm events on flash took, together"),
    _gauge("spool_messages", "Messages the cloud has not acknowledged", "lane"),
    _gauge("spool_bytes", "Size of the spool"),
    _gauge("spool_limit_bytes", "Size the spool may have"),
    _counter("spool_dropped", "Messages dropped by the stated policy"),
    _counter("spool_shed_readings", "Readings thinned, dropped or too old", "reason"),
    _counter("spool_renewed", "Damaged spools set aside since the start"),
    _gauge("uplink_connected", "1 while the cloud's broker is connected"),
    _gauge("uplink_answering", "1 while the cloud acknowledges in time"),
    _gauge("uplink_trouble", "1 for why there is no link", "cause"),
    _gauge("uplink_in_flight", "Messages sent and not acknowledged", "lane"),
    _gauge("uplink_pace", "Back-log batches a second that are allowed; -1 without a bound"),
    _gauge("uplink_oldest_wait_seconds", "How long the oldest message in flight has waited for the cloud"),
    _counter("uplink_resent", "Messages sent again"),
    _counter("uplink", "What happened on the link: connected, lost, refused, sent and settled by lane", "event"),
    _gauge("home_connected", "1 while the home broker is connected"),
    _counter("home", "What happened on the home broker's link, drops included", "event"),
    _counter("fallback", "SMS of the home itself by outcome", "event"),
    _gauge("fallback_alarms", "Alarms the home's own ladder follows"),
    _gauge("fallback_unready", "1 for each channel that could send nothing", "channel"),
    _gauge("part_still_seconds", "Seconds since each part last moved", "part"),
    _gauge("disk_free_bytes", "Free space beside the spool"),
    _counter("disk_written_bytes", "Bytes this process has had written to the device"),
    _gauge("memory_bytes", "Resident memory"),
    _counter("cpu_seconds", "Processor time used"),
)
"""Every metric there is; docs/gateway.md lists the same, and a test compares both with what is scraped."""

Values = Mapping[str, float | Mapping[str, float] | Mapping[tuple[str, str], float]]
"""By family: the value, or values by label; several labels are a tuple."""


Take = Callable[[], Awaitable[Values]]


@dataclass(frozen=True, slots=True)
class _Taken:
    """The values of one moment; one that is missing is a defect and ends the scrape."""

    values: Values

    def collect(self) -> Iterable[Metric]:
        """All metric families."""
        return [_metric(family, self.values[family.name]) for family in FAMILIES]


def _metric(family: Family, value: float | Mapping[str, float] | Mapping[tuple[str, str], float]) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    make = CounterMetricFamily if family.counter else GaugeMetricFamily
    metric = make(PREFIX + family.name, family.text, labels=list(family.labels))
    if not isinstance(value, Mapping):
        metric.add_metric([], value)
        return metric
    for label, number in value.items():
        metric.add_metric([label] if isinstance(label, str) else list(label), number)
    return metric


def _text(values: Values) -> bytes:
    from prometheus_client import generate_latest

    return generate_latest(_Taken(values))


async def serve(host: str, port: int, take: Take) -> asyncio.Server:
    """Answer every GET with all metrics, in the text format 0.0.4. Raises OSError."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                asked = await reader.readuntil(b"\r\n\r\n")
                writer.write(await _answer(asked.startswith(b"GET "), take))
                await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            log.info("metrics_reader_left")
        finally:
            writer.close()

    return await asyncio.start_server(handle, host, port)


async def _answer(is_get: bool, take: Take) -> bytes:
    status, body = "405 Method Not Allowed", b""
    if is_get:
        status, body = "200 OK", await asyncio.to_thread(_text, await take())
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: text/plain; version=0.0.4; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def cpu_seconds() -> float:
    """Processor time of this process."""
    return sum(os.times()[:2])
