"""Values of vital signs that a sensor made and not the body: codes of failure, dropouts, flat lines, jumps, motion.

Theory of operation. Each device and metric has a small memory. A value is refused with a reason, or believed. A jump
is believed once a second value confirms it, later than a slip lasts; after a dropout a sensor has some seconds to
settle. Refusing is the safe side only for alarms: the reading itself goes to the store all the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from edge.readings import Reading

VERSION = 1


class Artefact(StrEnum):
    """Why a value is not believed."""

    NOT_A_NUMBER = "not_a_number"
    IMPLAUSIBLE = "implausible"
    ERROR_CODE = "error_code"
    FUTURE = "future"
    JUMP = "jump"
    FLAT = "flat"
    SETTLING = "settling"
    MOTION = "motion"
    NOT_WORN = "not_worn"
    CUFF = "cuff"
    PERFUSION = "perfusion"


SIGNAL_LOST = frozenset({Artefact.NOT_A_NUMBER, Artefact.IMPLAUSIBLE, Artefact.ERROR_CODE})


@dataclass(frozen=True, slots=True)
class Sound:
    """What a sensor on a living person can say: limits, the largest believable step within `within_s`, how long a
    confirmation must come after it, and how long (seconds, readings) exactly the same value is believed.
    """

    low: float
    high: float
    step: float
    within_s: float
    confirm_s: float
    flat: tuple[float, int] | None = None
    settle_s: float = 0.0
    moved: bool = False


SOUND: dict[str, Sound] = {
    "heart_rate": Sound(20, 250, 40, 15, 8, (1_800, 60), 5, moved=True),
    "respiration_rate": Sound(3, 70, 15, 15, 15, (7_200, 100), 15, moved=True),
    "spo2": Sound(50, 100, 10, 15, 8, None, 5, moved=True),
    "systolic": Sound(50, 300, 80, 300, 30),
    "diastolic": Sound(20, 200, 60, 300, 30),
    "body_temperature": Sound(28, 43, 1.5, 600, 60, (172_800, 200)),
    "glucose": Sound(0.6, 50, 12, 300, 30),
    "weight": Sound(20, 300, 8, 1_800, 20),
}
"""Own choice: wider than any living adult, narrower than what sensors say when they fail; steps that no body makes in
the time. Checked by `anju-evaluate vitals` on recordings with gross errors.
"""
ERROR_CODES = frozenset({2047.0, -2048.0, 2046.0, -2046.0, -2047.0, 8388607.0, -8388608.0})
"""NaN, NRes, +INFINITY, -INFINITY and the reserved value of IEEE 11073-20601 SFLOAT, and NaN and NRes of FLOAT, where
a bridge passed the mantissa on as a number."""
LEAST_PULSE_PRESSURE = 10.0
MOTION_MS2 = 20.0
"""A peak of acceleration (m/s²) on the same device beyond which an optical value is not believed for `MOTION_S`. Own
choice, as are the least pulse pressure and the times."""
MOTION_S = 10.0
LEAST_PERFUSION = 0.3
"""Perfusion index in % below which a saturation of the same device is not believed for `PERFUSION_S`. Own choice
between what makers call low (up to 0.1) and the limit below which a study in intensive care found a
significant chance of being 5 points off (0.6; both read in J Emerg Crit Care Med, article 8686)."""
PERFUSION_S = 60.0
FUTURE_S = 120.0
_PAIR_S = 90.0


@dataclass(slots=True)
class _Memory:
    """Of one device and metric: last believed value, first of a run of equal ones, a jump that waits, last refusal."""

    value: float | None = None
    at: float = 0.0
    run: tuple[float, float, int] | None = None
    waiting: tuple[float, float] | None = None
    bad_at: float | None = None


class Artefacts:
    """Tells which values to believe; constant memory per device and metric. Times are those of the readings."""

    def __init__(self) -> None:
        self._memory: dict[str, _Memory] = {}
        self._moved: dict[str, float] = {}
        self._weak: dict[str, float] = {}
        self._off: set[str] = set()

    def note(self, reading: Reading) -> None:
        """A reading that is no vital sign may say that the device moved, is not worn, or hardly feels a pulse."""
        value = reading.value
        if reading.metric == "worn" and isinstance(value, bool):
            (self._off.discard if value else self._off.add)(reading.device)
        elif isinstance(value, bool | str) or not math.isfinite(reading.at):
            return
        elif reading.metric == "peak_acceleration" and value >= MOTION_MS2:
            self._moved[reading.device] = reading.at
        elif reading.metric == "perfusion_index" and 0 <= value < LEAST_PERFUSION:
            self._weak[reading.device] = reading.at
        elif reading.metric == "perfusion_index" and value >= LEAST_PERFUSION:
            self._weak.pop(reading.device, None)

    def weak(self, device: str, at: float) -> bool:
        """Whether the device hardly felt a pulse at `at`."""
        return abs(at - self._weak.get(device, -math.inf)) <= PERFUSION_S

    def judge(self, reading: Reading, now: float) -> Artefact | None:
        """None if the value of a metric of SOUND is believed. One call per reading, in order of arrival."""
        sound = SOUND[reading.metric]
        memory = self._memory.setdefault(f"{reading.device}/{reading.metric}", _Memory())
        refused = self._refused(reading, now, sound, memory)
        if refused in SIGNAL_LOST:
            memory.bad_at, memory.waiting = min(reading.at, now), None
        return refused

    def _refused(self, reading: Reading, now: float, sound: Sound, memory: _Memory) -> Artefact | None:
        value, at = reading.value, reading.at
        if not math.isfinite(at) or at > now + FUTURE_S:
            return Artefact.FUTURE
        if isinstance(value, bool | str) or not math.isfinite(value):
            return Artefact.NOT_A_NUMBER
        if value in ERROR_CODES:
            return Artefact.ERROR_CODE
        if not sound.low <= value <= sound.high:
            return Artefact.IMPLAUSIBLE
        if reading.device in self._off:
            return Artefact.NOT_WORN
        if sound.moved and 0 <= at - self._moved.get(reading.device, -math.inf) < MOTION_S:
            return Artefact.MOTION
        if reading.metric == "spo2" and self.weak(reading.device, at):
            return Artefact.PERFUSION
        if memory.bad_at is not None and 0 <= at - memory.bad_at < sound.settle_s:
            return Artefact.SETTLING
        return self._odd(value, at, sound, memory) or self._cuff(reading.device, reading.metric, value, at)

    @staticmethod
    def _odd(value: float, at: float, sound: Sound, memory: _Memory) -> Artefact | None:
        """A flat line, or a jump that nothing confirms yet; what is believed is remembered."""
        since, n = (memory.run[1], memory.run[2] + 1) if memory.run and memory.run[0] == value else (at, 1)
        memory.run = (value, since, n)
        if sound.flat is not None and at - since >= sound.flat[0] and n >= sound.flat[1]:
            return Artefact.FLAT
        jumped = (
            memory.value is not None and 0 <= at - memory.at < sound.within_s and abs(value - memory.value) > sound.step
        )
        if jumped or memory.waiting is not None:
            waiting = memory.waiting
            if waiting is None or abs(value - waiting[0]) > sound.step / 2 or at < waiting[1]:
                if jumped:
                    memory.waiting = (value, at)
                    return Artefact.JUMP
            elif at - waiting[1] < sound.confirm_s:
                return Artefact.JUMP
        memory.value, memory.at, memory.waiting = value, at, None
        return None

    def _cuff(self, device: str, metric: str, value: float, at: float) -> Artefact | None:
        """A cuff whose two pressures are not apart measured nothing."""
        if metric not in ("systolic", "diastolic"):
            return None
        other = self._memory.get(f"{device}/{'diastolic' if metric == 'systolic' else 'systolic'}")
        if other is None or other.value is None or abs(other.at - at) > _PAIR_S:
            return None
        apart = value - other.value if metric == "systolic" else other.value - value
        return Artefact.CUFF if apart < LEAST_PULSE_PRESSURE else None

    def state(self) -> dict[str, Any]:
        """Plain values, bounded by devices and metrics."""
        rows = {
            key: [m.value, m.at, list(m.run) if m.run else None, list(m.waiting) if m.waiting else None, m.bad_at]
            for key, m in sorted(self._memory.items())
        }
        moved, weak = (dict(sorted(times.items())) for times in (self._moved, self._weak))
        return {"v": VERSION, "memory": rows, "moved": moved, "weak": weak, "off": sorted(self._off)}

    def restore(self, state: dict[str, Any]) -> None:
        """Raises ValueError, KeyError or TypeError if it is no state; then nothing changed."""
        if state["v"] != VERSION:
            raise ValueError(f"artefacts: state of version {state['v']!r}, this is {VERSION}")
        memory = {str(key): _memory(row) for key, row in state["memory"].items()}
        moved = {str(device): _finite(at) for device, at in state["moved"].items()}
        weak = {str(device): _finite(at) for device, at in state.get("weak", {}).items()}
        self._off = {str(device) for device in state["off"]}
        self._memory, self._moved, self._weak = memory, moved, weak


def _memory(row: Any) -> _Memory:
    value, at, run, waiting, bad_at = row
    return _Memory(
        None if value is None else _finite(value),
        _finite(at),
        None if run is None else (_finite(run[0]), _finite(run[1]), int(run[2])),
        None if waiting is None else (_finite(waiting[0]), _finite(waiting[1])),
        None if bad_at is None else _finite(bad_at),
    )


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"artefacts: {value!r:.40} is not a finite number")
    return float(value)
