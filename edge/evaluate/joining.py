"""One subject's trials as one stream of frames, as a wearable would have sent them."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.evaluate.recordings import Trial
from edge.readings import SignalFrame

START = 1_600_000_000.0
"""Unix time at which every stream begins."""

FRAME_S = 0.5
AXES = ("ax", "ay", "az")
_STILL_S = 2.0
_STILL_PIECES = 8
_APART_S = 60.0
"""Between trials that are not joined the wearable is off for so long."""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A trial and when its first row comes, Unix seconds."""

    trial: Trial
    at: float


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Signal without a hole at one rate."""

    at: float
    rate_hz: float
    full_scale_g: float
    acc: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """All of one subject: the signal, and where the trials lie in it."""

    subject: str
    pieces: tuple[Piece, ...]
    placed: tuple[Placed, ...]


def streams(trials: Sequence[Trial], *, joined: bool, seed: int) -> list[Stream]:
    """One stream a subject. Joined: seeded random order, 10 to 30 s of the subject's own stillness between trials."""
    subjects: dict[str, list[Trial]] = {}
    for trial in trials:
        subjects.setdefault(trial.subject, []).append(trial)
    return [_stream(name, own, joined, seed) for name, own in subjects.items()]


def frames(stream: Stream, device: str, frame_s: float, dropout: float = 0.0, seed: int = 0) -> Iterator[SignalFrame]:
    """The stream cut into frames of `frame_s`; a share `dropout` of them is lost on the way (their `seq` is not)."""
    rng = np.random.default_rng([seed, zlib.crc32(stream.subject.encode())])
    seq = 0
    end = None
    for piece in stream.pieces:
        if end is not None and piece.at - end > 1.0 / piece.rate_hz:
            seq += 1
        size = max(1, round(frame_s * piece.rate_hz))
        for i in range(0, len(piece.acc), size):
            part = piece.acc[i : i + size]
            at = piece.at + i / piece.rate_hz
            if not dropout or rng.random() >= dropout:
                yield SignalFrame(device, seq, at, piece.rate_hz, AXES, part, piece.full_scale_g)
            seq += 1
        end = piece.at + len(piece.acc) / piece.rate_hz


def _stream(subject: str, trials: list[Trial], joined: bool, seed: int) -> Stream:
    rng = np.random.default_rng([seed, zlib.crc32(subject.encode())])
    order = rng.permutation(len(trials)) if joined else np.arange(len(trials))
    calm = still_pieces(trials) if joined else []
    pieces: list[Piece] = []
    placed: list[Placed] = []
    at = START
    for i in order:
        trial = trials[i]
        if calm:
            source = calm[int(rng.integers(len(calm)))]
            n = round(float(rng.uniform(10.0, 30.0)) * source.rate_hz)
            rest = _repeated(source.acc, n)
            pieces.append(Piece(at, source.rate_hz, source.full_scale_g, rest))
            at += n / source.rate_hz
        placed.append(Placed(trial, at))
        pieces += _pieces(trial, at)
        at += trial.duration_s + (0.0 if joined else _APART_S)
    return Stream(subject, tuple(pieces), tuple(placed))


def _pieces(trial: Trial, at: float) -> Iterator[Piece]:
    edges = [0, *(row for row, _ in trial.holes), len(trial.acc)]
    for start, stop in itertools.pairwise(edges):
        if stop > start:
            yield Piece(at + trial.time_of(start), trial.rate_hz, trial.full_scale_g, trial.acc[start:stop])


def still_pieces(trials: Sequence[Trial]) -> list[Piece]:
    """The stillest two seconds of each trial, the stillest few of the subject. A line that is quite flat is no body's
    stillness but padding or a sensor that hung; it, and what is shorter, is taken only where there is nothing else.
    """
    best: list[tuple[bool, float, int, Piece]] = []
    for number, trial in enumerate(trials):
        whole = max(2, round(_STILL_S * trial.rate_hz))
        n = min(len(trial.acc), whole)
        found: list[tuple[bool, float, int, Piece]] = []
        for start in range(0, len(trial.acc) - n + 1, max(1, n // 2)):
            part = trial.acc[start : start + n]
            moved = float(part.std(axis=0).sum())
            spread = moved + abs(float(np.linalg.norm(part.mean(axis=0))) - 1.0) * 0.2
            if math.isfinite(spread):
                piece = Piece(0.0, trial.rate_hz, trial.full_scale_g, part)
                found.append((n < whole or moved == 0.0, spread, number, piece))
        best += sorted(found, key=lambda entry: entry[:2])[:1]
    return [piece for *_, piece in sorted(best, key=lambda entry: entry[:3])[:_STILL_PIECES]]


def _repeated(acc: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """`acc` forwards and backwards in turn, so that no seam jumps, `n` rows."""
    there_and_back = np.concatenate((acc, acc[::-1]))
    times = -(-n // len(there_and_back))
    result: NDArray[np.float32] = np.tile(there_and_back, (times, 1))[:n]
    return result
