"""What is wrong with each device: silence, battery, stuck or impossible values, tampering. Pure.

Waiting is measured on the monotonic clock. A device's interval comes from the configuration, else from its dialect,
else from its own rhythm once that is known.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from edge.readings import Device, Reading
from edge.supervision import limits
from protocols.faults import Fault

STATE_VERSION: Final = 1


@dataclass(slots=True)
class _Watched:
    device: Device
    since: float
    heard: float | None = None
    online: bool = True
    gaps: deque[float] = field(default_factory=lambda: deque(maxlen=limits.LEARN_LAST))
    implausible: int = 0
    same: dict[str, tuple[object, float, int]] = field(default_factory=dict)
    faults: set[Fault] = field(default_factory=set)


class DeviceSupervision:
    """Faults of all devices; each holds until its own sign of being over."""

    def __init__(self, devices: Iterable[Device], declared: Callable[[], dict[str, float]], now: float) -> None:
        self._watched = {d.id: _Watched(d, now) for d in devices}
        self._declared = declared

    @property
    def known(self) -> frozenset[str]:
        """The configured devices."""
        return frozenset(self._watched)

    def restore(self, fault: Fault, device: str) -> None:
        """A fault of the last run: it holds until the device shows that it is over."""
        watched = self._watched.get(device)
        if watched is not None and fault is Fault.SENSOR_SILENT:
            watched.online = False
        elif watched is not None:
            watched.faults.add(fault)

    def state(self) -> dict[str, Any]:
        """The rhythm learned of each device, as plain values: the last gaps between its messages, in seconds."""
        gaps = {name: [round(gap, 3) for gap in w.gaps] for name, w in sorted(self._watched.items()) if w.gaps}
        return {"v": STATE_VERSION, "gaps": gaps}

    def restore_rhythm(self, state: dict[str, Any]) -> None:
        """Take up what was learned; devices no longer configured are left out. Raises ValueError if it is no state of
        this version; then nothing changed.
        """
        gaps = state.get("gaps")
        if state.get("v") != STATE_VERSION or not isinstance(gaps, dict):
            raise ValueError(f"supervision: state of version {state.get('v')!r}, this is {STATE_VERSION}")
        known = {name: _gaps(values) for name, values in gaps.items() if name in self._watched}
        for name, learned in known.items():
            watched = self._watched[name]
            watched.gaps = deque([*learned, *watched.gaps], maxlen=limits.LEARN_LAST)

    def heard(self, device: str, now: float) -> None:
        """A fresh sign of life."""
        watched = self._watched.get(device)
        if watched is None:
            return
        if watched.heard is not None and now > watched.heard:
            watched.gaps.append(now - watched.heard)
        watched.heard = now
        watched.online = True

    def online(self, device: str, online: bool) -> None:
        """What a will or a bridge says. `offline` is believed at once, `online` only together with a message."""
        if device in self._watched and not online:
            self._watched[device].online = False

    def reading(self, reading: Reading, now: float) -> None:
        """One value that was taken."""
        watched = self._watched.get(reading.device)
        if watched is None:
            return
        metric, value = reading.metric, reading.value
        if metric in ("battery_low", "tamper"):
            fault = Fault.SENSOR_BATTERY_LOW if metric == "battery_low" else Fault.SENSOR_TAMPER
            _set(watched.faults, fault, value is True)
        elif metric == "battery" and isinstance(value, (int, float)):
            for fault, band in limits.BATTERY.items():
                _set(watched.faults, fault, band.judge(value, fault in watched.faults))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            low, high = limits.PLAUSIBLE.get(metric, (float("-inf"), float("inf")))
            self._plausible(watched, low <= value <= high)
            self._stuck(watched, metric, value, now)

    def refused(self, device: str) -> None:
        """A value outside the range a sensor can report at all."""
        if device in self._watched:
            self._plausible(self._watched[device], False)

    def faults(self, now: float) -> set[tuple[Fault, str]]:
        """What holds now, by device."""
        declared = self._declared()
        for name, watched in self._watched.items():
            interval = watched.device.interval_s or declared.get(name)
            limit = silence_limit(interval, watched.gaps)
            last = watched.heard if watched.heard is not None else watched.since
            _set(watched.faults, Fault.SENSOR_SILENT, not watched.online or (limit is not None and now - last > limit))
        return {(fault, name) for name, watched in self._watched.items() for fault in watched.faults}

    @staticmethod
    def _plausible(watched: _Watched, good: bool) -> None:
        """Three impossible values in a row are a fault, three good ones after it end it."""
        bad = Fault.SENSOR_IMPLAUSIBLE in watched.faults
        watched.implausible = 0 if good is not bad else watched.implausible + 1
        if watched.implausible >= limits.IMPLAUSIBLE_IN_A_ROW:
            _set(watched.faults, Fault.SENSOR_IMPLAUSIBLE, not bad)
            watched.implausible = 0

    @staticmethod
    def _stuck(watched: _Watched, metric: str, value: float, now: float) -> None:
        rule = limits.STUCK.get(metric)
        if rule is None:
            return
        last = watched.same.get(metric)
        if last is None or last[0] != value:
            watched.same[metric] = (value, now, 1)
        else:
            watched.same[metric] = (value, last[1], last[2] + 1)
        stuck = any(
            now - since >= limits.STUCK[name][0] and n >= limits.STUCK[name][1]
            for name, (_, since, n) in watched.same.items()
        )
        _set(watched.faults, Fault.SENSOR_STUCK, stuck)


def silence_limit(interval_s: float | None, gaps: deque[float]) -> float | None:
    """Seconds of silence that are too long; None while nothing is known."""
    if interval_s is not None:
        return max(limits.MISSES * interval_s, limits.LEAST_SILENCE_S)
    if len(gaps) < limits.LEARN_GAPS:
        return None
    return max(limits.MISSES * max(gaps), limits.LEARNED_LEAST_S)


def _gaps(values: Any) -> list[float]:
    if not isinstance(values, list) or not all(type(v) in (int, float) and 0 < v < math.inf for v in values):
        raise ValueError("supervision: gaps that are no positive numbers")
    return [float(v) for v in values]


def _set(faults: set[Fault], fault: Fault, holds: bool) -> None:
    if holds:
        faults.add(fault)
    else:
        faults.discard(fault)
