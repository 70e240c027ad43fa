"""What volunteers do not stage: people who faint and lie still at once, and knocks, drops and throws of the device.

Volunteers who fall on a mat move afterwards, so trees fitted on them alone mistrust who lies as he fell. These few
trials teach that; they are drawn from physics (topple, impact, rest) and never used to score.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.evaluate.fall_training import device_alone
from edge.evaluate.fall_training.device_alone import unit
from edge.evaluate.recordings import Trial

SUBJECT = "simulated"
RATE_HZ = 50.0
_SCALE_G = 16.0

Signal = NDArray[np.float64]


def trials(n: int, rng: np.random.Generator) -> list[Trial]:
    """`n` faints, as many knocks or hard landings on the feet or a seat, and as many drops of the device."""
    made = []
    for number in range(n):
        acc, impact = _faint(rng)
        made.append(_trial(f"faint-{number}", acc, impact))
        others = ((_knock, _landing)[number % 2], _drop)
        made += [_trial(f"{other.__name__[1:]}-{number}", other(rng), None) for other in others]
    return made


def put_down(n: int, rng: np.random.Generator) -> list[Trial]:
    """More of the devices that lie alone, so that no model takes a watch that is put down for somebody who fell: `n`
    drops and twice as many takings-off; and, so that it does not mistrust whoever lies still, `n` faints.
    """
    made = []
    for number in range(n):
        acc, impact = _faint(rng)
        made.append(_trial(f"faint-more-{number}", acc, impact))
        made.append(_trial(f"drop-more-{number}", _drop(rng), None))
        alone = {which: device_alone.event(rng) for which in "ab"}
        made += [_trial(f"put_down-{number}{which}", a, None, device_alone.RATE_HZ) for which, a in alone.items()]
    return made


def _trial(name: str, acc: Signal, impact_s: float | None, rate_hz: float = RATE_HZ) -> Trial:
    activity = name.split("-", 1)[0]
    samples = np.clip(acc, -_SCALE_G, _SCALE_G).astype(np.float32)
    fell = impact_s is not None
    return Trial(name, SUBJECT, None, activity, fell, rate_hz, _SCALE_G, samples, impact_s=impact_s)


def _faint(rng: np.random.Generator) -> tuple[Signal, float]:
    """From rest or walking, perhaps a stumble: the weight fades while the body topples, one impact, small bounces."""
    up = unit(rng.normal(size=3))
    down = _tilted(up, float(rng.uniform(50, 130)), rng)
    before = _living(up, rng.uniform(3, 6), rng, steps=float(rng.choice([0.0, 0.0, 0.25])))
    stumble = _living(up, rng.uniform(0.1, 0.8), rng, steps=float(rng.uniform(0, 0.4)))
    n = _rows(rng.uniform(0.3, 1.2))
    share = np.linspace(0, 1, n)[:, None] ** rng.choice([0.5, 1.0, 2.0, 8.0])
    weight = 1 - (1 - rng.uniform(0.02, 0.7)) * np.linspace(0, 1, n)[:, None] ** rng.choice([0.05, 0.5, 1.0, 1.5])
    path = up * (1 - share) + down * share
    topple = path / np.linalg.norm(path, axis=1, keepdims=True) * weight + rng.normal(0, rng.uniform(0, 0.1), (n, 3))
    struck = unit(down + rng.normal(0, 0.4, 3))
    hit = _blows(struck, float(rng.uniform(2.5, 9)), rng, bounces=int(rng.integers(0, 3)), width=(0.03, 0.12))
    after = _living(down, rng.uniform(6, 10), rng, settle=float(rng.choice([0.0, 0.1, 0.4])))
    before = np.concatenate((before, stumble))
    start = len(before) + len(topple)
    peak = start + int(np.argmax(np.linalg.norm(hit, axis=1)))
    return np.concatenate((before, topple, hit, after)), peak / RATE_HZ


def _knock(rng: np.random.Generator) -> Signal:
    """The device is struck, or an arm laid down hard: no fall before, nearly the same posture after."""
    up = unit(rng.normal(size=3))
    after = _tilted(up, float(rng.uniform(0, 40)), rng)
    hit = _blows(unit(rng.normal(size=3)), float(rng.uniform(2, 9)), rng, bounces=1, width=(0.02, 0.06))
    return np.concatenate((_living(up, 4, rng), hit, _living(after, 8, rng)))


def _drop(rng: np.random.Generator) -> Signal:
    """The device alone: taken off, weightless while it drops (or merely laid down), blows of hard or soft ground, then
    stiller than anybody, or picked up again.
    """
    up, rest = unit(rng.normal(size=3)), unit(rng.normal(size=3))
    soft, laid = bool(rng.random() < 0.4), bool(rng.random() < 0.2)
    flight = _rows(rng.uniform(0.02, 0.1) if laid else rng.uniform(0.2, 0.55))
    weightless = rng.normal(0, 0.03, (flight, 3)) + unit(rng.normal(size=3)) * rng.uniform(0, 0.2)
    peak = float(rng.uniform(1.6, 4) if laid else rng.uniform(3, 11) if soft else rng.uniform(6, 30))
    parts = [_living(up, 4, rng, steps=float(rng.choice([0.0, 0.25])), settle=0.2), weightless]
    while peak > 1.3 and len(parts) < 12:
        width = (0.06, 0.16) if soft else (0.02, 0.04)
        parts.append(_blows(unit(rng.normal(size=3)), peak, rng, bounces=0, width=width))
        parts.append(rng.normal(0, 0.05, (_rows(0.02 * peak * rng.uniform(0.3, 1)), 3)))
        peak *= rng.uniform(0.1, 0.5)
    dead = np.tile(rest, (_rows(9), 1)) + rng.normal(0, rng.uniform(0, 0.006), (_rows(9), 3))
    if rng.random() < 0.3:
        dead = np.concatenate((dead[: _rows(rng.uniform(0.8, 3))], _living(up, 8, rng, settle=0.5)))
    return np.concatenate((*parts, dead))


def _landing(rng: np.random.Generator) -> Signal:
    """Off a step, a hop, or down onto a seat: along the body, which stays as upright as it was."""
    up = unit(rng.normal(size=3))
    after = _tilted(up, float(rng.uniform(0, 25)), rng)
    n = _rows(rng.uniform(0.1, 0.35))
    flight = np.tile(up, (n, 1)) * np.linspace(1, rng.uniform(0.05, 0.6), n)[:, None] + rng.normal(0, 0.05, (n, 3))
    hit = _blows(unit(up + rng.normal(0, 0.15, 3)), float(rng.uniform(2, 6)), rng, bounces=1, width=(0.05, 0.15))
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
    acc += rng.uniform(0, 0.01) * np.sin(2 * np.pi * 0.27 * t + rng.uniform(0, 6)) * unit(rng.normal(size=3))
    acc += steps * np.sin(2 * np.pi * 1.8 * t) * posture
    return acc + np.exp(-t / rng.uniform(0.1, 0.6)) * rng.normal(0, settle, (n, 3))


def _tilted(direction: Signal, degrees: float, rng: np.random.Generator) -> Signal:
    side = rng.normal(size=3)
    side = unit(side - (side @ direction) * direction)
    angle = np.radians(degrees)
    result: Signal = np.cos(angle) * direction + np.sin(angle) * side
    return result


def _rows(seconds: float) -> int:
    return max(1, round(seconds * RATE_HZ))
