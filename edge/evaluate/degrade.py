"""What a poorer sensor, another way of wearing it, or a poor radio link makes of a recording."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge.evaluate.recordings import Trial
from edge.evaluate.report import FormatError


@dataclass(frozen=True, slots=True, eq=False)
class Degradation:
    """Applied in the order of the fields. `rate` never raises a rate; `dropout` is the share of frames lost.

    The gyroscope is accepted and left out: the fall detector does not use it, so `no_gyro` changes nothing.
    """

    rotation: NDArray[np.float64] | None = None
    gain: float = 1.0
    offset_g: tuple[float, ...] = (0.0, 0.0, 0.0)
    noise_g: float = 0.0
    range_g: float | None = None
    rate: float | None = None
    averaged: bool = True
    """Whether the slower sensor averages what lies between its samples (as its filter does) or skips it."""
    dropout: float = 0.0
    no_gyro: bool = False
    pace: float = 1.0
    """How much quicker than the recorded person: the same movement in less time."""
    seed: int = 0
    """Of the noise."""

    def apply(self, trial: Trial) -> Trial:
        """The trial as the poorer sensor would have recorded it (dropout is left to the one who cuts frames)."""
        acc = trial.acc.astype(np.float64) * self.gain
        full_scale = trial.full_scale_g * self.gain
        if self.rotation is not None:
            acc = acc @ self.rotation
        acc = acc + np.array(self.offset_g)
        if self.noise_g:
            acc += np.random.default_rng(self.seed).normal(0.0, self.noise_g, acc.shape)
        if self.pace != 1.0:
            trial = _quicker(trial, self.pace)
        rate = trial.rate_hz
        holes = trial.holes
        if self.rate is not None and self.rate < rate * 0.98:
            width = round(rate / self.rate) if self.averaged else 1
            if width > 1:
                acc = _averaged(acc, width)
            rows = np.arange(0, len(acc) - 1, rate / self.rate)
            acc = np.column_stack([np.interp(rows, np.arange(len(acc)), column) for column in acc.T])
            holes = tuple((int(row * self.rate / rate), seconds) for row, seconds in holes)
            rate = self.rate
        if self.range_g is not None and self.range_g < full_scale:
            full_scale = self.range_g
            acc = np.clip(acc, -full_scale, full_scale)
        return replace(trial, acc=acc.astype(np.float32), full_scale_g=full_scale, rate_hz=rate, holes=holes)


def _quicker(trial: Trial, pace: float) -> Trial:
    """The trial played `pace` times as fast (its samples stay, its clock runs quicker)."""
    fall = trial.fall_s
    return replace(
        trial,
        rate_hz=trial.rate_hz * pace,
        holes=tuple((row, seconds / pace) for row, seconds in trial.holes),
        impact_s=None if trial.impact_s is None else trial.impact_s / pace,
        fall_s=None if fall is None else (fall[0] / pace, fall[1] / pace),
    )


def parse(text: str) -> Degradation:
    """A degradation from `rate=25,range_g=4,no_gyro,dropout=0.05`; raises FormatError naming the part."""
    values: dict[str, float] = {}
    no_gyro = False
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, value = part.partition("=")
        if part == "no_gyro":
            no_gyro = True
            continue
        limits = {"rate": (5.0, 1000.0), "range_g": (1.0, 200.0), "dropout": (0.0, 0.9), "gain": (0.5, 2.0)}.get(name)
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if limits is None or not limits[0] <= number <= limits[1]:
            raise FormatError(f"--degrade {part!r}: use rate=HZ, range_g=G, gain=FACTOR, dropout=SHARE, no_gyro")
        values[name] = number
    return Degradation(
        gain=values.get("gain", 1.0),
        range_g=values.get("range_g"),
        rate=values.get("rate"),
        dropout=values.get("dropout", 0.0),
        no_gyro=no_gyro,
    )


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """A rotation, every one equally likely (QR decomposition of a Gaussian matrix)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    if np.linalg.det(q) < 0:
        q[:, 0] = -q[:, 0]
    result: NDArray[np.float64] = q
    return result


def _averaged(acc: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    padded = np.pad(acc, ((width // 2, width - 1 - width // 2), (0, 0)), mode="edge")
    # Each mean by itself: a running sum would carry one missing sample through the rest of the trial.
    result: NDArray[np.float64] = np.lib.stride_tricks.sliding_window_view(padded, width, axis=0).mean(axis=-1)
    return result
