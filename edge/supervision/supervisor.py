"""Puts the parts of supervision together: what the pipeline tells it, and what it concludes every few seconds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from typing import Any

from edge.alarms import Alarm, Changed
from edge.clock import Instant
from edge.readings import Device
from edge.sources.base import Heard, Seen
from edge.supervision.devices import DeviceSupervision
from edge.supervision.host import Host, judge
from edge.supervision.technical import GATEWAY, TechnicalAlarms
from protocols.errors import ProtocolError, Reason
from protocols.faults import Fault
from protocols.wire import AlarmKind, AlarmState

LOOK_EVERY_S = 5.0
CRIES = 4
CRIES_WITHIN_S = 86_400.0
"""So many alarms for nothing in so long, and the sensor is reported. Never is it silenced."""
BRIEF_S = 300.0
"""What its own sensor takes back within so long was nothing that stayed. Own choice: longer than a question and a
radar's second thoughts, shorter than anybody takes to come."""
FIRST_LOOK_S = 30.0
"""After the start devices and broker get this long, so that a restart neither clears nor raises anything by itself."""
DETECTOR_WELL_S = 600.0
"""A detector that has not failed for so long works again."""


class Supervisor:
    """One home's supervision; values in, alarm changes out."""

    def __init__(
        self,
        devices: tuple[Device, ...],
        seen: Callable[[], Iterable[Seen]],
        host: Callable[[], Host],
        broker: Callable[[], bool],
        rng: random.Random,
        now: Instant,
        more: Callable[[], set[Fault]] = set,
        crying: Callable[[], set[str]] = set,
    ) -> None:
        """`more` are faults of the gateway that other parts know of; `crying` are devices whose alarms go on and on
        with nobody answering.
        """
        self._more = more
        self._crying = crying
        self._seen = seen
        self._host = host
        self._broker = broker
        self._started = now
        self._broker_at = now.mono
        self._look_at = now.mono + FIRST_LOOK_S
        self._mains: dict[str, bool] = {}
        self._own: set[Fault] = set()
        self._failed: dict[str, float] = {}
        self._in_vain: dict[str, dict[str, float]] = {}
        self.devices = DeviceSupervision(devices, self._declared, now.mono)
        self.alarms = TechnicalAlarms({d.id: d.room for d in devices}, rng)

    def _declared(self) -> dict[str, float]:
        return {s.id: s.interval_s for s in self._seen() if s.id is not None and s.interval_s is not None}

    def restore(self, alarms: Iterable[Alarm]) -> list[Alarm]:
        """Take up the faults of the last run; returns the alarms that are none."""
        mine: list[Alarm] = []
        others: list[Alarm] = []
        for alarm in alarms:
            (mine if TechnicalAlarms.owns(alarm) else others).append(alarm)
        self.alarms.restore(mine)
        for alarm in mine:
            if alarm.reason == Fault.SENSOR_CRIES_OFTEN:
                self._in_vain[alarm.device] = {str(n): self._started.wall for n in range(CRIES)}
            elif alarm.reason == Fault.DETECTOR_FAILED:
                self._failed[alarm.device] = self._started.mono
            elif alarm.device == GATEWAY:
                self._own.add(Fault(alarm.reason))
            else:
                self.devices.restore(Fault(alarm.reason), alarm.device)
        return others

    def heard(self, heard: Heard, now: Instant) -> None:
        """What one message said."""
        for device in heard.alive:
            self.devices.heard(device, now.mono)
        for device, online in heard.online:
            self.devices.online(device, online)
        for reading in heard.readings:
            if reading.metric == "mains" and isinstance(reading.value, bool):
                self._mains[reading.device] = reading.value
            self.devices.reading(reading, now.mono)

    def refused(self, topic: str, error: ProtocolError) -> None:
        """A value out of all range counts against its device."""
        if error.reason in (Reason.OUT_OF_RANGE, Reason.NOT_FINITE):
            parts = topic.split("/") if topic.startswith("home/v1/") else error.where.split(".")
            self.devices.refused(parts[2] if topic.startswith("home/v1/") else parts[1] if len(parts) > 1 else "")

    def detector_failed(self, device: str, now: Instant) -> None:
        """A detector of this device (or of the whole home: the gateway) has a defect."""
        self._failed[device] = now.mono

    def alarm_changed(self, alarm: Alarm, now: Instant) -> None:
        """An alarm that the resident or a movement answered with "nothing is wrong" was in vain, and so was one that
        its device soon took back; each counts once.
        """
        taken_back = alarm.reason == "condition_ended" and abs(alarm.changed_at - alarm.at) < BRIEF_S
        answered = alarm.state is AlarmState.CANCELLED_BY_RESIDENT or alarm.reason == "movement_seen" or taken_back
        if answered and alarm.kind is not AlarmKind.TECHNICAL and alarm.device in self.devices.known:
            of = self._in_vain.setdefault(alarm.device, {})
            of.setdefault(alarm.alarm_id, now.wall)
            self._in_vain[alarm.device] = dict([*of.items()][-CRIES:])

    def _cries_often(self, now: Instant) -> set[tuple[Fault, str]]:
        """Devices whose last alarms in vain all lie within a day, until a quiet day; and those that cry right now."""
        late = {
            device: {alarm: at for alarm, at in of.items() if abs(now.wall - at) < CRIES_WITHIN_S}
            for device, of in self._in_vain.items()
        }
        self._in_vain = {device: of for device, of in late.items() if of}
        often = {device for device, of in self._in_vain.items() if len(of) == CRIES} | self._crying()
        return {(Fault.SENSOR_CRIES_OFTEN, device) for device in often if device in self.devices.known}

    def state(self) -> dict[str, Any]:
        """What was learned of the devices, and their alarms in vain, as plain JSON values."""
        return self.devices.state() | {"in_vain": {d: dict(of) for d, of in sorted(self._in_vain.items())}}

    def restore_rhythm(self, state: dict[str, Any]) -> None:
        """Take up a state; one of older software has no alarms in vain. Raises ValueError if it is none; then nothing
        changed.
        """
        found = _in_vain(state.get("in_vain", {}))
        self.devices.restore_rhythm(state)
        self._in_vain = {device: of for device, of in found.items() if device in self.devices.known}

    def tick(self, now: Instant) -> list[Changed]:
        """Call several times a second; looks every few seconds."""
        if self._broker():
            self._broker_at = now.mono
        if now.mono < self._look_at:
            return []
        self._look_at = now.mono + LOOK_EVERY_S
        self._own = judge(self._host(), now.mono - self._broker_at, self._own)
        if self._mains and not all(self._mains.values()):
            self._own.add(Fault.MAINS_LOST)
        own = self._own | self._more()
        faults = self.devices.faults(now.mono) if self._broker_is_there(now) else set()
        self._failed = {d: at for d, at in self._failed.items() if now.mono - at < DETECTOR_WELL_S}
        failed = {(Fault.DETECTOR_FAILED, device) for device in self._failed}
        return self.alarms.compare(faults | failed | self._cries_often(now) | {(fault, GATEWAY) for fault in own}, now)

    def _broker_is_there(self, now: Instant) -> bool:
        """With the home broker lost every device is silent: that is one fault, not thirty."""
        return Fault.HOME_BROKER_LOST not in self._own


def _in_vain(state: Any) -> dict[str, dict[str, float]]:
    if not isinstance(state, dict) or not all(isinstance(of, dict) for of in state.values()):
        raise ValueError("supervision: in_vain is no table of alarms")
    times = [at for of in state.values() for at in of.values()]
    if not all(type(at) in (int, float) and math.isfinite(at) for at in times):
        raise ValueError("supervision: alarms in vain at times that are none")
    return {str(device): {str(a): float(at) for a, at in [*of.items()][-CRIES:]} for device, of in state.items()}
