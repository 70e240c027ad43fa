"""Signals of a body and of the sensors on it: acceleration in g at 50 Hz, vitals, and what sensors do to them.

Everything is drawn from a seeded generator, so that a run can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 50
Samples = NDArray[np.float64]
"""Shape (n, 3), in g."""


class Activity(StrEnum):
    """What a person does with the body."""

    LYING = "lying"
    SITTING = "sitting"
    STANDING = "standing"
    WALKING = "walking"


_GRAVITY: dict[Activity, tuple[float, float, float]] = {
    Activity.LYING: (0.05, 0.25, 0.97),
    Activity.SITTING: (-0.55, 0.15, 0.82),
    Activity.STANDING: (-0.97, 0.2, 0.1),
    Activity.WALKING: (-0.95, 0.25, 0.15),
}
"""Direction of gravity in the frame of a watch on the left wrist."""
_FLOOR = (0.1, 0.95, -0.28)
_STEP_HZ = 1.8


class Body:
    """The acceleration a wrist feels; cut it into pieces of any length, the signal goes on where it stopped."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._phase = 0.0
        self._gravity = np.array(_GRAVITY[Activity.SITTING])
        self._ahead: Samples = np.empty((0, 3))
        self.on_floor = False

    def samples(self, n: int, activity: Activity) -> Samples:
        """The next `n` samples while doing `activity`; what `fall` or `play` has queued comes first."""
        queued, self._ahead = self._ahead[:n], self._ahead[n:]
        rest = n - len(queued)
        if rest == 0:
            return queued
        return np.concatenate([queued, self._moving(rest, activity)])

    def _moving(self, n: int, activity: Activity) -> Samples:
        target = np.array(_FLOOR if self.on_floor else _GRAVITY[activity])
        walking = activity is Activity.WALKING and not self.on_floor
        out = np.empty((n, 3))
        for i in range(n):
            self._gravity += 0.06 * (target - self._gravity)
            out[i] = self._gravity / np.linalg.norm(self._gravity)
        t = self._phase + np.arange(n) / RATE_HZ
        self._phase += n / RATE_HZ
        breathing = 0.004 * np.sin(2 * np.pi * 0.27 * t)
        out += breathing[:, None]
        if walking:
            swing = 0.18 * np.sin(2 * np.pi * _STEP_HZ / 2 * t)
            step = 0.22 * np.clip(np.sin(2 * np.pi * _STEP_HZ * t), 0, None) ** 3
            out += np.stack([-step, swing, 0.5 * swing], axis=1)
        noise = 0.02 if walking else 0.004
        return out + self._rng.normal(0, noise, (n, 3))

    def fall(self) -> float:
        """Queue a fall to the side; returns how many seconds from the next sample its impact is."""
        rng = self._rng
        stumble = self._moving(int(0.5 * RATE_HZ), Activity.WALKING)
        free = int(0.38 * RATE_HZ)
        weight = np.linspace(1.0, 0.25, free)[:, None]
        direction = np.linspace(self._gravity, np.array(_FLOOR), free)
        flight = direction / np.linalg.norm(direction, axis=1)[:, None] * weight + rng.normal(0, 0.08, (free, 3))
        peak = rng.uniform(4.2, 6.5)
        impact = np.array(_FLOOR) * np.array([[0.45], [1.0], [0.55], [0.3]]) * peak + rng.normal(0, 0.15, (4, 3))
        settle = int(0.8 * RATE_HZ)
        fading = np.exp(-np.arange(settle) / 16.0)[:, None]  # recorded falls settle in a third of a second
        rolling = np.array(_FLOOR) + fading * rng.normal(0, 0.7, (settle, 3))
        self._gravity = np.array(_FLOOR)
        self.on_floor = True
        before = len(self._ahead) + len(stumble) + free + 1
        self._ahead = np.concatenate([self._ahead, stumble, flight, impact, rolling])
        return before / RATE_HZ

    def play(self, recorded: Samples) -> None:
        """Queue a recording; afterwards the body keeps the posture it ended in."""
        lead = np.repeat(recorded[:1], 2 * RATE_HZ, axis=0)
        self._ahead = np.concatenate([self._ahead, lead + self._rng.normal(0, 0.004, lead.shape), recorded])
        self._gravity = recorded[-RATE_HZ:].mean(axis=0)
        self.on_floor = True

    def stand_up(self) -> None:
        """Somebody has helped."""
        self.on_floor = False


@dataclass(slots=True)
class Vitals:
    """A resting person's signs, wandering slowly about their own mean (Ornstein-Uhlenbeck)."""

    rng: np.random.Generator
    heart_rate: float = 72.0
    spo2: float = 97.0
    respiration: float = 15.0
    systolic: float = 132.0
    diastolic: float = 78.0
    temperature: float = 36.6
    _off: dict[str, float] = field(default_factory=dict)

    def read(self, activity: Activity, *, distress: bool) -> dict[str, float]:
        """Signs now; exertion and distress raise the pulse."""
        load = {Activity.LYING: -6.0, Activity.SITTING: 0.0, Activity.STANDING: 5.0, Activity.WALKING: 18.0}[activity]
        load += 24.0 if distress else 0.0
        return {
            "heart_rate": round(self._wander("heart_rate", self.heart_rate, 3.0) + load, 1),
            "spo2": round(min(100.0, self._wander("spo2", self.spo2, 0.6)), 1),
            "respiration_rate": round(self._wander("respiration", self.respiration, 0.8) + load / 8, 1),
            "systolic": round(self._wander("systolic", self.systolic, 4.0) + load / 3),
            "diastolic": round(self._wander("diastolic", self.diastolic, 3.0) + load / 6),
            "body_temperature": round(self._wander("temperature", self.temperature, 0.08), 1),
        }

    def _wander(self, name: str, mean: float, spread: float) -> float:
        off = 0.97 * self._off.get(name, 0.0) + float(self.rng.normal(0, spread * 0.24))
        self._off[name] = off
        return mean + off


@dataclass(slots=True)
class Fault:
    """What a cheap sensor does to its values: noise, a slow drift, and now and then nothing at all."""

    rng: np.random.Generator
    noise: float = 0.0
    drift_per_hour: float = 0.0
    dropout: float = 0.0

    def apply(self, value: float, age_s: float) -> float | None:
        """The value as sent `age_s` after the start; None: nothing was sent."""
        if self.rng.random() < self.dropout:
            return None
        return value + float(self.rng.normal(0, self.noise)) + self.drift_per_hour * age_s / 3600
