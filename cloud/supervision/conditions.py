"""What a gateway's status says is wrong in its home; each is one technical incident while it lasts."""

from __future__ import annotations

from cloud.config import Supervision
from protocols.faults import Fault
from protocols.wire import Clock, Status

_SENSOR_MISSES = 3
_SENSOR_LEAST_S = 60.0
_BATTERY_EMPTY = 5.0

PREFIXES = ("clock_wrong", "spool_filling", *(str(fault) for fault in Fault))
"""Causes that a status opens and clears; others are none of its business."""


def conditions(status: Status, now: float, limits: Supervision, *, retained: bool) -> set[str]:
    """Causes that hold by this status. A retained one may be old: its time says nothing of the clock."""
    found: set[str] = set()
    known = set(Fault)
    found |= {cause for cause in status.faults or () if cause.partition(":")[0] in known}
    for sensor in status.sensors if status.faults is None else ():
        if sensor.interval_s is not None and sensor.last_at is not None:
            limit = max(_SENSOR_MISSES * sensor.interval_s, _SENSOR_LEAST_S)
            found |= {f"sensor_silent:{sensor.device}"} if status.at - sensor.last_at > limit else set()
        if sensor.battery_percent is not None and sensor.battery_percent <= _BATTERY_EMPTY:
            found.add(f"sensor_battery:{sensor.device}")
    if not retained and status.clock is not Clock.UNSYNCED and abs(status.at - now) > limits.clock_off_s:
        found.add("clock_wrong")
    spool = status.spool
    if spool is not None and spool.limit_bytes and spool.size_bytes >= limits.spool_filling_share * spool.limit_bytes:
        found.add("spool_filling")
    if status.mains is False:
        found.add("mains_lost")
    return found
