"""What volunteers do not stage: people who faint and lie still at once, and knocks, drops and throws of the device.

Volunteers who fall on a mat move afterwards, so trees fitted on them alone mistrust who lies as he fell. These few
trials teach that; they are drawn from physics (topple, impact, rest) and never used to score.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.evaluate.recordings import Trial

SUBJECT = "simulated"
RATE_HZ = 50.0
_SCALE_G = 16.0

Signal = NDArray[np.float64]


def trials(n: int, rng: np.random.Generator) -> list[Trial]:
    """`n` faints, and as many knocks, drops of the device and hard landings on the feet or a seat."""
    made = []
    for number in range(n):
        acc, impact = _faint(rng)
        made.append(_trial(f"faint-{number}", acc, impact))
        other = (_knock, _landing, _knock, _landing, _drop)[number % 5]
        made.append(_trial(f"{other.__name__[1:]}-{number}", other(rng), None))
    return made


def _trial(name: str, acc: Signal, impact_s: float | None) -> Trial:
    activity = name.split("-", 1)[0]
    samples = np.clip(acc, -_SCALE_G, _SCALE_G).astype(np.float32)
    fell = impact_s is not None
    return Trial(name, SUBJECT, None, activity, fell, RATE_HZ, _SCALE_G, samples, impact_s=impact_s)


def _faint(rng: np.random.Generator) -> tuple[Signal, float]:
    """From rest or walking, perhaps a stumble: the weight fades while the body topples, one impact, small bounces."""
    up = _unit(rng.normal(size=3))
    down = _tilted(up, float(rng.uniform(50, 130)), rng)
    before = _living(up, rng.uniform(3, 6), rng, steps=float(rng.choice([0.0, 0.0, 0.25])))
    stumble = _living(up, rng.uniform(0.1, 0.8), rng, steps=float(rng.uniform(0, 0.4)))
    n = _rows(rng.uniform(0.3, 1.2))
    share = np.linspace(0, 1, n)[:, None] ** rng.choice([0.5, 1.0, 2.0, 8.0])
    weight = 1 - (1 - rng.uniform(0.02, 0.7)) * np.linspace(0, 1, n)[:, None] ** rng.choice([0.05, 0.5, 1.0, 1.5])
    path = up * (1 - share) + down * share
    topple = path / np.linalg.norm(path, axis=1, keepdims=True) * weight + rng.normal(0, rng.uniform(0, 0.1), (n, 3))
    struck = _unit(down + rng.normal(0, 0.4, 3))
    hit = _blows(struck, float(rng.uniform(2.5, 9)), rng, bounces=int(rng.integers(0, 3)), width=(0.03, 0.12))
    after = _living(down, rng.uniform(6, 10), rng, settle=float(rng.choice([0.0, 0.1, 0.4])))
    before = np.concatenate((before, stumble))
    start = len(before) + len(topple)
    peak = start + int(np.argmax(np.linalg.norm(hit, axis=1)))
    return np.concatenate((before, topple, hit, after)), peak / RATE_HZ


def _knock(rng: np.random.Generator) -> Signal:
    """The device is struck, or an arm laid down hard: no fall before, nearly the same posture after."""
    up = _unit(rng.normal(size=3))
    after = _tilted(up, float(rng.uniform(0, 40)), rng)
    hit = _blows(_unit(rng.normal(size=3)), float(rng.uniform(2, 9)), rng, bounces=1, width=(0.02, 0.06))
    return np.concatenate((_living(up, 4, rng), hit, _living(after, 8, rng)))


def _drop(rng: np.random.Generator) -> Signal:
    """The device alone: weightless while it drops, hard blows, then stiller than anybody."""
    up, flight = _unit(rng.normal(size=3)), _rows(rng.uniform(0.25, 0.5))
    rest = _unit(rng.normal(size=3))
    weightless = rng.normal(0, 0.03, (flight, 3)) + _unit(rng.normal(size=3)) * rng.uniform(0, 0.1)
    hits = [_blows(_unit(rng.normal(size=3)), float(p), rng, bounces=0, width=(0.02, 0.04)) for p in (12, 6, 3)]
    gaps = rng.normal(0, 0.05, (4, 3))
    dead = np.tile(rest, (_rows(9), 1)) + rng.normal(0, 0.002, (_rows(9), 3))
    return np.concatenate((_living(up, 4, rng), weightless, hits[0], gaps, hits[1], gaps, hits[2], dead))


def _landing(rng: np.random.Generator) -> Signal:
    """Off a step, a hop, or down onto a seat: along the body, which stays as upright as it was."""
    up = _unit(rng.normal(size=3))
    after = _tilted(up, float(rng.uniform(0, 25)), rng)
    n = _rows(rng.uniform(0.1, 0.35))
    flight = np.tile(up, (n, 1)) * np.linspace(1, rng.uniform(0.05, 0.6), n)[:, None] + rng.normal(0, 0.05, (n, 3))
    hit = _blows(_unit(up + rng.normal(0, 0.15, 3)), float(rng.uniform(2, 6)), rng, bounces=1, width=(0.05, 0.15))
    return np.concatenate((_living(up, 4, rng), flight, hit, _living(after, 8, rng, settle=0.1)))


def _blows(
    direction: Signal, peak: float, rng: np.random.Generator, *, bounces: int, width: tuple[float, float]
) -> Signal:
    """Half sines along a direction, each lower than the last."""
    parts = []
    for _ in range(bounces + 1):
        n = max(2, _rows(rng.uniform(*width)))
        phase = (np.arange(n) + rng.uniform(0.2, 0.8)) / n
        parts.append((1 + (peak - 1) * np.sin(np.pi * np.clip(phase, 0, 1)))[:, None] * direction)
        peak = 1 + (peak - 1) * rng.uniform(0.1, 0.5)
    return np.concatenate(parts)


def _living(
    posture: Signal, seconds: float, rng: np.random.Generator, *, steps: float = 0.0, settle: float = 0.0
) -> Signal:
    """A body at rest, breathing; or walking with steps of so many g; or settling from a movement of `settle` g."""
    n = _rows(seconds)
    t = np.arange(n)[:, None] / RATE_HZ
    acc = np.tile(posture, (n, 1)) + rng.normal(0, rng.uniform(0, 0.03), (n, 3))
    acc += rng.uniform(0, 0.01) * np.sin(2 * np.pi * 0.27 * t + rng.uniform(0, 6)) * _unit(rng.normal(size=3))
    acc += steps * np.sin(2 * np.pi * 1.8 * t) * posture
    return acc + np.exp(-t / rng.uniform(0.1, 0.6)) * rng.normal(0, settle, (n, 3))


def _tilted(direction: Signal, degrees: float, rng: np.random.Generator) -> Signal:
    side = rng.normal(size=3)
    side = _unit(side - (side @ direction) * direction)
    angle = np.radians(degrees)
    result: Signal = np.cos(angle) * direction + np.sin(angle) * side
    return result


def _unit(v: Signal) -> Signal:
    result: Signal = v / np.linalg.norm(v)
    return result


def _rows(seconds: float) -> int:
    return max(1, round(seconds * RATE_HZ))
