"""Line protocol by hand: one line per measurement, device and time, metrics as fields (0.3 µs a field)."""

from __future__ import annotations

from cloud.timeseries.base import Delivery, Point
from protocols.metrics import Value


def point_line(point: Point) -> str:
    """The line of one point, time in nanoseconds. Home, device and metric names are identifiers: nothing to escape."""
    fields = ",".join([field_text(name, value) for name, value in point.fields.items()])
    return f"{point.measurement},home={point.home},device={point.device} {fields} {point.at_ms}000000"


def delivery_line(delivery: Delivery) -> str:
    """The line that proves a batch.

    Batches closed in the same millisecond must not overwrite each other, so the sequence fills the nanoseconds.
    """
    at_ns = delivery.at_ms * 1_000_000 + delivery.seq % 1_000_000
    return (
        f"delivery,home={delivery.home},device={delivery.gateway},lane={delivery.lane} "
        f'epoch="{delivery.epoch}",seq={delivery.seq}i,count={delivery.count}i {at_ns}'
    )


def field_text(name: str, value: Value) -> str:
    """One field as line protocol writes it."""
    if isinstance(value, bool):
        return f"{name}=true" if value else f"{name}=false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{name}="{escaped}"'
    return f"{name}={float(value)!r}"
