"""A fall that a radar on the wall reports: believed when it holds, over when the radar has long seen otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edge.detectors.base import Detection
from edge.readings import Device, DeviceRole, Reading
from protocols.wire import AlarmKind, Evidence, Priority

VERSION = 1
HELD_S = 3.0
"""Radars say falling while somebody sits down fast; what does not last is left out."""
UP_S = 20.0
LONGEST_TICK_GAP_S = 60.0
"""What nobody watched for longer than this, or a step of the clock, has not held. The three times are own choice."""
CONFIDENCE = 0.7
"""The same for every fall: the device says yes or no and nothing of how it came to that, and it is told as soon as it
has held for `HELD_S`. What others see joins as evidence and makes the alarm surer. Own choice, below the share of true
ones in staged falls (0.805: Rezaei et al., IEEE Sensors J 2023, abstract), as a home is no laboratory. No priority
hangs on it."""


class RadarFallDetector:
    """All devices that report `fall_detected`; worn ones report their fall at once, they have judged it themselves."""

    def __init__(self, devices: Iterable[Device]) -> None:
        self._worn = {d.id for d in devices if d.role is DeviceRole.WEARABLE}
        self._down: dict[str, float] = {}
        self._told: dict[str, float | None] = {}
        self._seen: float | None = None

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; anything but the flag `fall_detected` is ignored."""
        self._pass_time(now)
        if reading.metric != "fall_detected" or not isinstance(reading.value, bool):
            return []
        device = reading.device
        if not reading.value:
            self._down.pop(device, None)
            if device in self._told and self._told[device] is None:
                self._told[device] = now
            return []
        if device in self._told:
            self._told[device] = None
        elif device in self._worn:
            return self._fall(device, now)
        else:
            self._down.setdefault(device, now)
        return []

    def on_tick(self, now: float) -> list[Detection]:
        """What holds becomes a fall; who has got up for long enough has."""
        self._pass_time(now)
        found: list[Detection] = []
        for device, since in sorted(self._down.items()):
            if now - since >= HELD_S:
                del self._down[device]
                found += self._fall(device, since)
        for device, up in sorted(self._told.items()):
            if up is not None and now - up >= UP_S:
                del self._told[device]
                evidence = Evidence(detector="radar", device=device, at=now, reason="condition_ended")
                kind, reason = AlarmKind.FALL, evidence.reason
                found.append(Detection(kind, Priority.HIGH, now, device, reason, 1.0, (evidence,), cleared=True))
        return found

    def _pass_time(self, now: float) -> None:
        seen, self._seen = self._seen, now
        if seen is None or 0 <= now - seen <= LONGEST_TICK_GAP_S:
            return
        step = now - seen
        self._down = {device: at + step for device, at in self._down.items()}
        self._told = {device: None if up is None else up + step for device, up in self._told.items()}

    def _fall(self, device: str, at: float) -> list[Detection]:
        self._told[device] = None
        reason = "device_reports_fall" if device in self._worn else "radar_reports_fall"
        evidence = Evidence(detector="radar", device=device, at=at, reason=reason)
        return [Detection(AlarmKind.FALL, Priority.HIGH, at, device, reason, CONFIDENCE, (evidence,))]

    def state(self) -> dict[str, Any]:
        """All memory."""
        return {"v": VERSION, "down": dict(self._down), "told": dict(self._told), "seen": self._seen}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state. Raises ValueError if it is none; then nothing changed."""
        if state.get("v") != VERSION:
            raise ValueError(f"radar: state of version {state.get('v')!r}, this is {VERSION}")
        try:
            down = {str(d): float(at) for d, at in state["down"].items()}
            told = {str(d): None if at is None else float(at) for d, at in state["told"].items()}
            seen = None if state.get("seen") is None else float(state["seen"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"radar: not a state: {error!r}") from error
        self._down, self._told, self._seen = down, told, seen
