"""What a wearable feels, from physics: falls, and what is none. Acceleration in g, shape (n, 3), at any rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.readings import SignalFrame

Signal = NDArray[np.float64]
STANDING, LYING, SITTING = (0.0, 1.0, 0.05), (0.98, 0.1, 0.15), (0.0, 0.9, 0.43)


def still(rate: float, seconds: float, posture: tuple[float, float, float] = STANDING, noise: float = 0.01) -> Signal:
    """Rest in one posture, with the body's own small movement."""
    n = round(rate * seconds)
    direction = np.array(posture) / np.linalg.norm(posture)
    return np.tile(direction, (n, 1)) + np.random.default_rng(7).normal(0, noise, (n, 3))


def walking(rate: float, seconds: float) -> Signal:
    """Steps of 1.8 Hz."""
    t = np.arange(round(rate * seconds)) / rate
    up = 1.0 + 0.3 * np.sin(2 * np.pi * 1.8 * t) + 0.15 * np.sin(2 * np.pi * 3.6 * t + 1)
    side = 0.12 * np.sin(2 * np.pi * 0.9 * t)
    return np.column_stack((side, up, 0.1 * np.sin(2 * np.pi * 1.8 * t + 0.5))) + np.random.default_rng(3).normal(
        0, 0.02, (len(t), 3)
    )


def turning(rate: float, seconds: float, start: tuple[float, ...], end: tuple[float, ...], weight: Signal) -> Signal:
    """From one posture to another while weight (n,) says how much of gravity is felt."""
    n = len(weight)
    share = np.linspace(0.0, 1.0, n)[:, None] ** 1.5
    path = np.array(start) * (1 - share) + np.array(end) * share
    felt: Signal = path / np.linalg.norm(path, axis=1, keepdims=True) * weight[:, None]
    return felt


def impact(rate: float, direction: tuple[float, ...], peak: float, width_s: float = 0.08) -> Signal:
    """A half sine up to `peak` along the direction, then two smaller bounces."""
    unit = np.array(direction) / np.linalg.norm(direction)
    parts = []
    for height, length in ((peak, width_s), (1.0 + (peak - 1) * 0.35, width_s * 1.3), (1.2, 0.15)):
        n = max(2, round(rate * length))
        parts.append((1.0 + (height - 1.0) * np.sin(np.pi * (np.arange(n) + 0.5) / n))[:, None] * unit)
    return np.concatenate(parts)


def toppling(rate: float) -> Signal:
    """Standing, walking, then falling like a tree that begins to lose its footing; weight falls to 0.35 g."""
    n = round(rate * 0.7)
    weight = 1.0 - 0.7 * np.linspace(0.0, 1.0, n) ** 1.5
    return np.concatenate((walking(rate, 4), turning(rate, 0.7, STANDING, LYING, weight)))


def fall(rate: float = 50.0, peak: float = 5.0, after_s: float = 10.0) -> tuple[Signal, float]:
    """Walking, toppling, impact, lying; and the seconds from the start to the impact."""
    before = np.concatenate((still(rate, 4), toppling(rate)))
    whole = np.concatenate((before, impact(rate, LYING, peak), still(rate, after_s, LYING)))
    return whole, len(before) / rate + 0.04


def sitting_down(rate: float = 50.0) -> Signal:
    """Into a chair: a soft bump, the trunk a little bent."""
    down = turning(rate, 0.9, STANDING, SITTING, 1.0 - 0.25 * np.sin(np.linspace(0, np.pi, round(rate * 0.9))))
    return np.concatenate((still(rate, 5), down, impact(rate, SITTING, 1.9, 0.12), still(rate, 12, SITTING)))


def jumping(rate: float = 50.0) -> Signal:
    """Three hops: free flight and hard landings, upright before and after."""
    flight = np.tile(np.array(STANDING) * 0.08, (round(rate * 0.3), 1))
    hop = np.concatenate((flight, impact(rate, STANDING, 4.5), still(rate, 0.4)))
    return np.concatenate((still(rate, 5), hop, hop, hop, walking(rate, 10)))


def bent_to_the_floor(rate: float = 50.0) -> Signal:
    """Something is picked up: the trunk goes down and comes back within two seconds."""
    bend = turning(rate, 0.9, STANDING, LYING, np.ones(round(rate * 0.9)))
    return np.concatenate((still(rate, 5), bend, still(rate, 0.3, LYING), bend[::-1], walking(rate, 10)))


def lying_down(rate: float = 50.0) -> Signal:
    """To bed, slowly."""
    bend = turning(rate, 2.0, STANDING, LYING, np.ones(round(rate * 2.0)))
    return np.concatenate((still(rate, 5), bend, still(rate, 15, LYING)))


def frames(
    signal: Signal, rate: float = 50.0, frame_s: float = 0.5, at: float = 1e9, seq: int = 0, scale_g: float = 16.0
) -> list[SignalFrame]:
    """The signal clipped at the sensor's range and cut into frames."""
    size = max(1, round(rate * frame_s))
    clipped = np.clip(signal, -scale_g, scale_g).astype(np.float32)
    return [
        SignalFrame("w", seq + n, at + i / rate, rate, ("ax", "ay", "az"), clipped[i : i + size], scale_g)
        for n, i in enumerate(range(0, len(signal), size))
    ]


def walking_on(rate: float = 50.0) -> Signal:
    """Nothing but steps."""
    return walking(rate, 15)
