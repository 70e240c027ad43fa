"""Takings-off of the device: unbuckled, carried, put down, let slip, thrown, pushed aside; perhaps picked up again.

Theory of operation. Nobody records these, so they are computed at 1 kHz. The blow is not a form that is laid down but
what a spring with a damper does (integrated step by step): a device in flight, or one that a hand still leads, presses
itself into the ground by its speed. Then it tips over from the edge it struck onto its side, with clacks that come ever
quicker. The sensor reads it at 100 Hz behind a filter or without one; `augment` makes poorer ones of it. Only for
training: `anju-evaluate dropped`, by which models are judged, computes its drops otherwise (edge.evaluate.dropped).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 100.0
_HZ = 1000
_STEP_HZ = 4000
_G = 9.80665
_MOST_G = 60.0

Signal = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Way:
    """How often, how long the ground's spring swings for half a turn, and from which height; from, to."""

    share: float
    contact_s: tuple[float, float]
    height_m: tuple[float, float] = (1.0, 1.0)


_WAYS = {
    "led": _Way(0.3, (0.0015, 0.02)),
    "let go": _Way(0.35, (0.0015, 0.02), (0.001, 0.08)),
    "dropped": _Way(0.2, (0.002, 0.15), (0.1, 1.8)),
    "thrown": _Way(0.15, (0.02, 0.2), (0.05, 0.6)),
}


def event(rng: np.random.Generator) -> Signal:
    """One such event, shape (n, 3) in g at RATE_HZ, 13 to 25 s long."""
    worn, rest = unit(rng.normal(size=3)), unit(rng.normal(size=3))
    carried = unit(rest + rng.normal(0, 0.6, 3))
    parts = [_moved(worn, worn, float(rng.uniform(3, 5)), float(rng.choice([0.02, 0.1, 0.3])), rng)]
    if rng.random() < 0.8:
        parts.append(_moved(worn, carried, float(rng.uniform(0.5, 3)), float(rng.uniform(0.03, 0.6)), rng))
    if rng.random() < 0.5:
        parts.append(_moved(carried, carried, float(rng.uniform(0.3, 2)), float(rng.uniform(0.01, 0.2)), rng))
    parts += [_down(carried, rest, rng), _clacks(rest, rng)]
    if rng.random() < 0.3:
        up, lies_s = unit(rng.normal(size=3)), float(rng.uniform(0.3, 3.2))
        again = float(rng.uniform(0.03, 0.6))
        parts += [np.tile(rest, (round(lies_s * _HZ), 1)), _moved(rest, up, float(rng.uniform(0.3, 2)), again, rng)]
        parts.append(_moved(up, up, 8.0, float(rng.uniform(0.01, 0.2)), rng))
    else:
        parts.append(np.tile(rest, (10 * _HZ, 1)))
    return _read(np.concatenate(parts), rng)


def _down(carried: Signal, rest: Signal, rng: np.random.Generator) -> Signal:
    """From the hand to the ground: led down, let go just above it, dropped or thrown."""
    way = str(rng.choice(list(_WAYS), p=[way.share for way in _WAYS.values()]))
    contact_s = float(np.exp(rng.uniform(*np.log(_WAYS[way].contact_s))))
    damping = float(rng.uniform(0.15, 0.8))
    if way == "led":
        force = contact(0.0, float(rng.uniform(0.1, 1.5)), contact_s, damping)
        lowered = _moved(carried, carried, float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.01, 0.15)), rng)
    else:
        height = float(np.exp(rng.uniform(*np.log(_WAYS[way].height_m))))
        rising = float(rng.uniform(0, 4)) if way == "thrown" else 0.0
        force = contact(height, -rising, contact_s, damping)
        lowered = _push(carried, max(0.3, rising), rng) if way == "thrown" else np.empty((0, 3))
    return np.concatenate((lowered, _tumbling(force, carried, rest, rng)))


def contact(height_m: float, speed: float, contact_s: float, damping: float) -> Signal:
    """Force of the ground over the weight, at 1 kHz, from the moment it is let go at `speed` (m/s, downwards positive)
    until it lies. A spring of so long a half swing, damped by that share of the critical.
    """
    stiff = math.pi / contact_s
    dt, height, down = 1.0 / _STEP_HZ, height_m, speed
    forces: list[float] = []
    lying = 0
    while len(forces) < 3 * _STEP_HZ and lying < 0.15 * _STEP_HZ:
        force = max(0.0, -(stiff**2) * height + 2 * damping * stiff * down) if height <= 0 else 0.0
        down += (_G - force) * dt
        height -= down * dt
        forces.append(force / _G)
        lying = lying + 1 if abs(down) < 0.02 and height <= 1e-4 else 0
    many = np.array(forces[: len(forces) // 4 * 4])
    result: Signal = many.reshape(-1, _STEP_HZ // _HZ).mean(axis=1)
    return result


def _tumbling(force: Signal, carried: Signal, rest: Signal, rng: np.random.Generator) -> Signal:
    """The force as the device feels it: it turns from how it was carried to how it lies, more wildly in flight; and
    the ground pushes along itself too.
    """
    n = len(force)
    share = np.clip(np.linspace(0, rng.uniform(0.8, 3), n), 0, 1)[:, None]
    wild = np.sin(np.linspace(0, rng.uniform(0, 12), n))[:, None] * (1 - share) * rng.uniform(0, 1.5)
    path = carried * (1 - share) + rest * share + wild * unit(rng.normal(size=3)) + 1e-3
    path /= np.linalg.norm(path, axis=1, keepdims=True)
    along = unit(rng.normal(size=3)) * rng.uniform(0, 0.5)
    beyond = np.clip(force - 1.0, 0, None)[:, None]
    spin = (force < 0.05)[:, None] * unit(rng.normal(size=3)) * rng.uniform(0, 0.25)
    result: Signal = force[:, None] * path + beyond * along + spin
    return result


def _clacks(rest: Signal, rng: np.random.Generator) -> Signal:
    """From the edge onto the side: clacks that come ever quicker and softer; or none. Then a hand that lets go."""
    n = round(0.7 * _HZ)
    out = np.tile(rest, (n, 1))
    at, apart = float(rng.uniform(0.0, 0.15)), float(rng.uniform(0.02, 0.15))
    height = float(rng.choice([0.0, rng.uniform(0.2, 8.0)]))
    while height > 0.1 and at < 0.6:
        i, width = round(at * _HZ), int(rng.integers(2, 12))
        out[i : i + width] += height * np.hanning(width + 2)[1:-1, None] * unit(rest + rng.normal(0, 0.5, 3))
        at, apart, height = at + apart, apart * rng.uniform(0.4, 0.8), height * rng.uniform(0.3, 0.8)
    t = np.arange(n)[:, None] / _HZ
    touch = float(rng.choice([0.0, 0.0, rng.uniform(0.0, 0.1)])) * np.exp(-t / 0.15)
    moved: Signal = out + touch * np.sin(2 * np.pi * rng.uniform(4, 15) * t) * unit(rng.normal(size=3))
    return moved


def _push(direction: Signal, speed: float, rng: np.random.Generator) -> Signal:
    """An arm that gives the device a speed upwards (m/s)."""
    n = round(float(rng.uniform(0.1, 0.4)) * _HZ)
    shape = np.sin(np.linspace(0, np.pi, n)) ** 2
    aside = unit(direction + rng.normal(0, 0.8, 3))
    pushed: Signal = direction + (shape / shape.sum() * speed / _G * _HZ)[:, None] * aside
    return pushed


def _moved(one: Signal, other: Signal, seconds: float, lively_g: float, rng: np.random.Generator) -> Signal:
    """In a hand or on an arm that turns from one posture to another and moves with so many g."""
    n = max(2, round(seconds * _HZ))
    share = (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, n)))[:, None]
    path = one * (1 - share) + other * share + 1e-3
    path /= np.linalg.norm(path, axis=1, keepdims=True)
    t = np.arange(n) / _HZ
    for _ in range(4):
        swing = np.sin(2 * np.pi * rng.uniform(0.5, 8) * t + rng.uniform(0, 6))
        path = path + 0.5 * lively_g * swing[:, None] * unit(rng.normal(size=3))
    result: Signal = path
    return result


def _read(signal: Signal, rng: np.random.Generator) -> Signal:
    """By a sensor at RATE_HZ: averaged over a sample or not, with the noise of one that lies."""
    width = round(_HZ / RATE_HZ)
    signal = np.clip(signal[: len(signal) // width * width], -_MOST_G, _MOST_G)
    parts = signal.reshape(-1, width, 3)
    read = parts.mean(axis=1) if rng.random() < 0.6 else parts[:, int(rng.integers(width))]
    result: Signal = read + rng.normal(0, rng.uniform(0, 0.006), read.shape)
    return result


def unit(v: Signal) -> Signal:
    """The direction of `v`, shape (3,)."""
    result: Signal = v / np.linalg.norm(v)
    return result
