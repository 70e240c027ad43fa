"""Faults as technical alarms: one open event per cause, which clears by itself."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

from edge.alarms import Alarm, Changed
from edge.clock import Instant
from protocols.faults import Fault, cause
from protocols.identifiers import uuid7
from protocols.wire import AlarmKind, AlarmState, Evidence, Priority

GATEWAY = "gateway"
MOST_OPEN = 256


def is_fault(kind: AlarmKind, reason: str) -> bool:
    """Whether an alarm is a fault: never a reason to ring the family, unlike a test alarm that proves the chain."""
    return kind is AlarmKind.TECHNICAL and reason in set(Fault)


class TechnicalAlarms:
    """Compares what holds with what is open. Never asks, never speaks, never joins a life alarm."""

    def __init__(self, rooms: dict[str, str | None], rng: random.Random) -> None:
        self._rooms = rooms
        self._rng = rng
        self._open: dict[tuple[str, str], Alarm] = {}
        self.left_out = 0

    @property
    def causes(self) -> list[str]:
        """What is open, as the cloud names it."""
        return sorted(cause(reason, device) for reason, device in self._open)

    @staticmethod
    def owns(alarm: Alarm) -> bool:
        """Whether an alarm of the last run is one of these (and not, say, a test alarm)."""
        return is_fault(alarm.kind, alarm.reason)

    def restore(self, alarms: Iterable[Alarm]) -> None:
        """Take up what was open before the restart; the first comparison clears what is over."""
        self._open |= {(a.reason, a.device): a for a in alarms if self.owns(a)}

    def compare(self, holding: set[tuple[Fault, str]], now: Instant) -> list[Changed]:
        """Events for what began and what ended."""
        wanted = {(str(fault), device) for fault, device in holding}
        changes = [self._end(key, now) for key in sorted(self._open.keys() - wanted)]
        for key in sorted(wanted - self._open.keys()):
            if len(self._open) >= MOST_OPEN:
                self.left_out += 1
                continue
            changes.append(self._begin(key, now))
        return changes

    def _begin(self, key: tuple[str, str], now: Instant) -> Changed:
        reason, device = key
        alarm = Alarm(
            alarm_id=uuid7(now.wall, self._rng),
            kind=AlarmKind.TECHNICAL,
            priority=Priority.LOW,
            state=AlarmState.RAISED,
            at=now.wall,
            changed_at=now.wall,
            reason=reason,
            device=device,
            room=self._rooms.get(device),
            evidence=(Evidence(detector="supervision", device=device, at=now.wall, reason=reason),),
        )
        self._open[key] = alarm
        return Changed(alarm)

    def _end(self, key: tuple[str, str], now: Instant) -> Changed:
        return Changed(replace(self._open.pop(key), state=AlarmState.CLEARED, changed_at=now.wall))
