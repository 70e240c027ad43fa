"""`anju-evaluate dropped`: a wearable that falls without its wearer, by physics: how often is that taken for a fall?

Theory of operation. Nobody records such drops, so they are computed at 1 kHz: the device is worn or carried, flies (it
feels its spin only), strikes with the speed of its height, bounces ever lower, and lies stiller than a body. How hard a
blow is follows from its speed and its length: a half sine that turns the speed round (its integral is the change of
speed). A sensor with a filter and a range of its own then samples it. These are not the trials of `fall_training`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from edge.detectors.fall import FallDetector
from edge.evaluate.fall_play import model_of, play
from edge.evaluate.fall_scoring import wilson
from edge.evaluate.joining import START, Piece, Stream
from edge.evaluate.report import FormatError, Report
from edge.readings import BodyPosition, Sensitivity

NAME = "dropped"
HELP = "a wearable that is dropped, thrown or put down: how often that is called a fall (simulated)"

Signal = NDArray[np.float64]
_HZ: Final = 1000
_G: Final = 9.80665


@dataclass(frozen=True, slots=True)
class _Ground:
    """How long a blow on it lasts, and which share of the speed it gives back; both from, to."""

    contact_s: tuple[float, float]
    back: tuple[float, float]


_STONE: Final = _Ground((0.001, 0.004), (0.2, 0.6))
_CARPET: Final = _Ground((0.006, 0.015), (0.05, 0.3))
_CUSHION: Final = _Ground((0.07, 0.14), (0.05, 0.3))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Who is asked, and how often."""
    parser.add_argument("--position", choices=[p.value for p in BodyPosition], required=True)
    parser.add_argument("--sensitivity", choices=[s.value for s in Sensitivity], default="normal")
    parser.add_argument("--model", type=Path, help="a file made by train-falls instead of the model that ships")
    parser.add_argument("--n", type=int, default=200, help="drops of each kind (default 200)")


def run(options: argparse.Namespace) -> Report:
    """Raises FormatError for a model that is none."""
    if options.n < 1:
        raise FormatError("--n is 1 or more")
    models = None if options.model is None else (model_of(options.model),)
    position, step = BodyPosition(options.position), Sensitivity(options.sensitivity)
    detector = partial(FallDetector, "dropped", position, step, models)
    kinds: dict[str, dict[str, float]] = {}
    for number, (name, make) in enumerate(KINDS.items()):
        rng = np.random.default_rng([options.seed, number])
        called = 0
        for _ in track(range(options.n), name, transient=True):
            called += bool(play(sensed(make(rng), rng), detector).alarms)
        low, high = wilson(called, options.n)
        kinds[name] = {"drops": options.n, "alarms": called, "share": called / options.n, "low": low, "high": high}
    figures = {"position": options.position, "sensitivity_step": options.sensitivity, "kinds": kinds}
    rows = [(name, *k.values()) for name, k in kinds.items()]
    header = ("kind", "drops", "alarms", "share", "95 % from", "to")
    return Report(figures, [(f"Dropped, {options.position}", header, rows)])


def sensed(signal: Signal, rng: np.random.Generator) -> Stream:
    """What a sensor makes of it (g, 1 kHz): 25, 50 or 100 Hz behind a filter as long as a sample or without one, cut at
    4, 8 or 16 g, with the noise of a cheap one.
    """
    rate, scale = float(rng.choice([25.0, 50.0, 100.0])), float(rng.choice([4.0, 8.0, 16.0]))
    width = round(_HZ / rate)
    if rng.random() < 0.7:
        signal = signal[: len(signal) // width * width].reshape(-1, width, 3).mean(axis=1)
    else:
        signal = signal[int(rng.integers(width)) :: width]
    noisy = signal + rng.normal(0, rng.uniform(0.001, 0.006), signal.shape) + rng.normal(0, 0.02, 3)
    acc = np.clip(noisy, -scale, scale).astype(np.float32)
    return Stream("dropped", (Piece(START, rate, scale, acc),), ())


def _floor(rng: np.random.Generator) -> Signal:
    """It slips from a hand or a belt, onto stone, wood or carpet, and stays there."""
    return np.concatenate((_held(rng), *_onto_the_floor(rng), _lying(rng, 20)))


def _picked_up(rng: np.random.Generator) -> Signal:
    """The same, but somebody picks it up a second or three later."""
    lying = _lying(rng, float(rng.uniform(0.8, 3)))
    return np.concatenate((_held(rng), *_onto_the_floor(rng), lying, _held(rng), _held(rng)))


def _table(rng: np.random.Generator) -> Signal:
    """It is taken off and put down, more or less gently."""
    return np.concatenate((_held(rng), *_fallen(rng, float(rng.uniform(0.002, 0.05)), _STONE), _lying(rng, 20)))


def _sofa(rng: np.random.Generator) -> Signal:
    """It is thrown, onto a cushion: a hand's push, a flight, a soft landing."""
    push = _unit(rng)[None, :] * np.sin(np.linspace(0, np.pi, round(0.15 * _HZ)))[:, None] * rng.uniform(0.5, 2.0)
    return np.concatenate((_held(rng), push, *_fallen(rng, float(rng.uniform(0.2, 1.0)), _CUSHION), _lying(rng, 20)))


KINDS: Final[dict[str, Callable[[np.random.Generator], Signal]]] = {
    "floor": _floor,
    "picked_up": _picked_up,
    "table": _table,
    "sofa": _sofa,
}


def _onto_the_floor(rng: np.random.Generator) -> list[Signal]:
    return _fallen(rng, float(rng.uniform(0.3, 1.5)), _STONE if rng.random() < 0.6 else _CARPET)


def _fallen(rng: np.random.Generator, height_m: float, ground: _Ground) -> list[Signal]:
    """Flight, blow, and bounces until they are too low to be felt."""
    back = float(rng.uniform(*ground.back))
    speed, flight_s = math.sqrt(2 * _G * height_m), math.sqrt(2 * height_m / _G)
    parts: list[Signal] = []
    while speed > 0.08 and len(parts) < 20:
        parts.append(_flight(rng, flight_s))
        length = max(1, round(float(rng.uniform(*ground.contact_s)) * _HZ))
        blow = np.sin(np.pi * (np.arange(length) + 0.5) / length)
        change = speed * (1 + back) / _G * _HZ  # the integral, in g times samples
        parts.append((1.0 + blow / blow.sum() * change)[:, None] * _unit(rng))
        speed *= back
        flight_s = 2 * speed / _G
    return parts


def _flight(rng: np.random.Generator, seconds: float) -> Signal:
    """Weightless but for the spin, which pulls outwards where the sensor sits beside the middle."""
    n = max(1, round(seconds * _HZ))
    spin, beside_m = rng.uniform(0, 15), rng.uniform(0, 0.01)
    return np.tile(_unit(rng) * (spin**2 * beside_m / _G), (n, 1))


def _lying(rng: np.random.Generator, seconds: float) -> Signal:
    return np.tile(_unit(rng), (round(seconds * _HZ), 1))


def _held(rng: np.random.Generator) -> Signal:
    """Worn by somebody who stands or walks, then taken in the hand and turned about; 6 s."""
    n = 6 * _HZ
    t = np.arange(n)[:, None] / _HZ
    turns = np.linspace(0, 1, n)[:, None] ** 3 * rng.uniform(0, 2.5)
    one, other = _unit(rng), _unit(rng)
    other = other - (other @ one) * one
    posture = np.cos(turns) * one + np.sin(turns) * other / np.linalg.norm(other)
    steps = rng.choice([0.0, 0.25]) * np.sin(2 * np.pi * 1.8 * t) * posture
    hand = rng.uniform(0, 0.15) * np.sin(2 * np.pi * rng.uniform(0.5, 3) * t + rng.uniform(0, 6)) * _unit(rng)
    result: Signal = posture + steps + hand + rng.normal(0, 0.01, (n, 3))
    return result


def _unit(rng: np.random.Generator) -> Signal:
    v = rng.normal(size=3)
    result: Signal = v / np.linalg.norm(v)
    return result
