"""Simulated ways: a person who walks through waypoints, and a receiver that is wrong the way receivers are."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edge.detectors.location.geometry import Plane, Point

HOME = Plane(22.5431, 114.0579)
NOON = 1_700_020_800.0 - 1_700_020_800.0 % 86_400 + 4 * 3600
"""Twelve o'clock in Shenzhen."""


@dataclass(frozen=True)
class Receiver:
    """A fix every `interval_s`; errors drift over `drift_s`; `leaps` is the share of fixes at which a leap begins."""

    interval_s: float = 5.0
    accuracy_m: float = 10.0
    drift_s: float = 40.0
    leaps: float = 0.0
    lies: bool = False
    """Whether a leap keeps the usual accuracy."""
    gaps: float = 0.0


@dataclass(frozen=True)
class Seen:
    """One fix as the receiver gives it, and where the person truly was (metres from home)."""

    at: float
    lat: float
    lon: float
    accuracy: float
    truth: Point


def walk(waypoints: Sequence[Point], speed: float, at: float = NOON, pause_s: float = 0.0) -> list[tuple[float, Point]]:
    """(time, point) of each waypoint, walked at `speed` metres a second with a pause at each."""
    way = [(at, waypoints[0])]
    for before, after in pairwise(waypoints):
        at += pause_s
        if pause_s:
            way.append((at, before))
        at += math.dist(before, after) / speed
        way.append((at, after))
    return way


def rest(way: list[tuple[float, Point]], seconds: float) -> list[tuple[float, Point]]:
    """The same way, and then stay there."""
    return [*way, (way[-1][0] + seconds, way[-1][1])]


def place(way: Sequence[tuple[float, Point]], at: float) -> Point:
    """Where the person is."""
    for (t0, a), (t1, b) in pairwise(way):
        if t0 <= at <= t1 and t1 > t0:
            share = (at - t0) / (t1 - t0)
            return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])
    return way[-1][1]


def received(way: Sequence[tuple[float, Point]], receiver: Receiver, rng: random.Random) -> Iterator[Seen]:
    """What the receiver gives on this way. The radius of 68 % is 1.51 sigma of one axis."""
    sigma = receiver.accuracy_m / 1.51
    keep = math.exp(-receiver.interval_s / receiver.drift_s)
    error = [rng.gauss(0, sigma), rng.gauss(0, sigma)]
    at, leaping, leap = way[0][0], 0, (0.0, 0.0)
    while at <= way[-1][0]:
        error = [keep * e + math.sqrt(1 - keep**2) * rng.gauss(0, sigma) for e in error]
        if leaping == 0 and rng.random() < receiver.leaps:
            far, toward = rng.uniform(300, 3000), rng.uniform(0, 2 * math.pi)
            leaping, leap = rng.choice([1, 1, 2, 3]), (far * math.cos(toward), far * math.sin(toward))
        truth = place(way, at)
        point = (truth[0] + error[0], truth[1] + error[1])
        accuracy = receiver.accuracy_m
        if leaping:
            leaping -= 1
            point = (point[0] + leap[0], point[1] + leap[1])
            accuracy = accuracy if receiver.lies else math.hypot(*leap) * rng.uniform(0.8, 2)
        if rng.random() >= receiver.gaps:
            yield Seen(at, *HOME.degrees(point), accuracy, truth)
        at += receiver.interval_s


def home_life(seconds: float, rng: random.Random, radius: float = 60.0) -> list[tuple[float, Point]]:
    """Errands around the home, never further than `radius`, with long rests."""
    way: list[tuple[float, Point]] = [(NOON, (0.0, 0.0))]
    while way[-1][0] - NOON < seconds:
        far, toward = radius * math.sqrt(rng.random()), rng.uniform(0, 2 * math.pi)
        goal = (far * math.cos(toward), far * math.sin(toward))
        way = rest([*way, *walk([way[-1][1], goal], rng.uniform(0.6, 1.2), way[-1][0])[1:]], rng.uniform(60, 900))
    return way


def mixed_day(
    seed: int, kinds: dict[str, Callable[[random.Random], list[Point]]], wandering: Sequence[str]
) -> tuple[list[tuple[float, Point]], list[tuple[float, float, str]]]:
    """Walks of every kind in random order with half an hour or so about the home between them, and of those in
    `wandering` when they were and of which kind.
    """
    rng = random.Random(seed)
    way: list[tuple[float, Point]] = [(NOON, (0.0, 0.0))]
    walks: list[tuple[float, float, str]] = []
    for kind in rng.sample(sorted(kinds), len(kinds)):
        calm = home_life(rng.uniform(1_200, 2_400), rng, 40.0)
        way += [(way[-1][0] + t - NOON + 1, point) for t, point in calm]
        corners = kinds[kind](rng)
        speed = rng.uniform(0.6, 1.1)
        way += walk([way[-1][1], corners[0]], speed, way[-1][0])[1:]
        there = walk(corners, speed, way[-1][0])[1:]
        if kind in wandering:
            walks.append((way[-1][0], there[-1][0], kind))
        way += there
        way = rest([*way, *walk([way[-1][1], (0.0, 0.0)], speed, way[-1][0])[1:]], rng.uniform(600, 1_200))
    return way, walks
