"""Contacts that speak for themselves: an SOS press, smoke, gas, carbon monoxide and water raise an alarm at once.

There is no limit here: how much smoke, gas or carbon monoxide is too much is the device's own judgement. Hence the
confidence of 1: no doubt must make less of a fire, a poisoning or a call for help.
"""

from __future__ import annotations

from typing import Any

from edge.detectors.base import Detection
from edge.readings import Reading
from protocols.wire import AlarmKind, Evidence, Priority

VERSION = 1
SOS_REARM_S = 60.0
"""A button that never reports its release counts as pressed anew after this long without a press."""

_KINDS = {
    "sos": AlarmKind.SOS,
    "smoke": AlarmKind.SMOKE,
    "gas": AlarmKind.GAS,
    "co": AlarmKind.CO,
    "flood": AlarmKind.FLOOD,
}
_REASONS = {
    "sos": "sos_pressed",
    "smoke": "smoke_detected",
    "gas": "gas_detected",
    "co": "carbon_monoxide_detected",
    "flood": "water_detected",
}


class ContactDetector:
    """Turns flags into detections, one per occurrence and device.

    A repeated true raises nothing; false ends the condition (`cleared`). The release of an SOS button ends nothing,
    because the call for help stands: it only makes the next press a new one. The order of arrival counts, not the
    time stamps, so that a clock that steps back cannot hide a press.
    """

    def __init__(self) -> None:
        self._active: dict[tuple[str, str], float] = {}

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; anything but the five flags is ignored."""
        kind = _KINDS.get(reading.metric)
        if kind is None or not isinstance(reading.value, bool):
            return []
        key = (reading.device, reading.metric)
        seen = self._active.get(key)
        if not reading.value:
            self._active.pop(key, None)
            return [] if seen is None or kind is AlarmKind.SOS else [_detection(reading, kind, cleared=True)]
        self._active[key] = now
        if seen is not None and not (kind is AlarmKind.SOS and abs(now - seen) >= SOS_REARM_S):
            return []
        return [_detection(reading, kind, cleared=False)]

    def on_tick(self, now: float) -> list[Detection]:
        """Nothing follows from silence here."""
        return []

    def state(self) -> dict[str, Any]:
        """What is active: without it, smoke that ends after a restart would never be cleared. Not a pressed button: it
        has long been let go when the state is read, and the next call for help would be taken for the same one.
        """
        return {"v": VERSION, "active": [[*key, at] for key, at in self._active.items() if _lasts(key[1])]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state. Raises ValueError if it is none; then nothing changed."""
        if state.get("v") != VERSION:
            raise ValueError(f"contact: state of version {state.get('v')!r}, this is {VERSION}")
        try:
            active = {(str(device), str(metric)): float(at) for device, metric, at in state["active"]}
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"contact: not a state: {error!r}") from error
        self._active = {key: at for key, at in active.items() if _lasts(key[1])}


def _lasts(metric: str) -> bool:
    return _KINDS.get(metric, AlarmKind.SOS) is not AlarmKind.SOS


def _detection(reading: Reading, kind: AlarmKind, *, cleared: bool) -> Detection:
    reason = "condition_ended" if cleared else _REASONS[reading.metric]
    evidence = Evidence(detector="contact", device=reading.device, at=reading.at, reason=reason)
    return Detection(kind, Priority.HIGH, reading.at, reading.device, reason, 1.0, (evidence,), cleared)
