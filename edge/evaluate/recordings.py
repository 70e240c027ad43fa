"""Staged falls and activities from one NPZ and its index: trials in g, each with one even clock."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.evaluate.arrays import read_acceleration, typical_magnitude
from edge.evaluate.report import FormatError
from edge.evaluate.rows import Row, flag, number, read_rows

ELDER_AGE = 60
"""Who counts as an elder where the index has no column `group`."""

RANGES_G = (2.0, 4.0, 6.0, 8.0, 16.0, 32.0, 200.0)
"""Full scales sensors are sold with; the least that holds all values is taken as the recording's."""

_NEEDED = ("subject", "is_fall", "acc_off", "acc_n")
_ELDERS, _OTHERS = ("elder", "old", "senior", "aged"), ("young", "adult", "middle")
_PLAUSIBLE_G = (0.5, 1.6)
"""Of the typical magnitude; the detector takes what lies outside of it for other units, too."""
_FIRST_S = 10.0
"""Time stamps that begin later are not those of the trial's own clock, which the labels are by."""
_BESIDE_S = 1.0
"""So far outside of its trial a label may lie, by rounding or by another clock."""
_LOWEST_RATE_HZ = 5.0
_HIGHEST_RATE_HZ = 1_000.0
_HOLE_S = 0.5
"""Time stamps further apart than this, in a trial whose clock never steps back, are signal that was lost."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One recording: `acc` (n, 3) in g at `rate_hz`; `holes` are (row, seconds lost before it).

    `impact_s` (falls only) counts from the first row; `fall_s` is the labelled (start, end) of the fall, if given.
    """

    name: str
    subject: str
    elder: bool | None
    activity: str
    is_fall: bool
    rate_hz: float
    full_scale_g: float
    acc: NDArray[np.float32]
    holes: tuple[tuple[int, float], ...] = ()
    impact_s: float | None = None
    fall_s: tuple[float, float] | None = None

    @property
    def duration_s(self) -> float:
        """Length, with what was lost."""
        return self.recorded_s + sum(seconds for _, seconds in self.holes)

    @property
    def recorded_s(self) -> float:
        """Length without what was lost."""
        return len(self.acc) / self.rate_hz

    def time_of(self, row: int) -> float:
        """Seconds from the first row to `row`, with what was lost before it."""
        return row / self.rate_hz + sum(seconds for at, seconds in self.holes if at <= row)


def load(npz: Path, index: Path, subjects: Iterable[str] | None = None, rate_hz: float | None = None) -> list[Trial]:
    """All trials of one set, or those of `subjects`; `rate_hz` overrides what the files say.

    Raises FormatError naming the file, line and column.
    """
    acc, stamps = _arrays(npz)
    full_scale = _full_scale(acc)
    wanted = set(subjects) if subjects is not None else None
    trials: list[Trial] = []
    known: set[str] = set()
    for at, row in read_rows(index, _NEEDED):
        line = _Line(index, at, row)
        known.add(line.text("subject"))
        if wanted is None or line.text("subject") in wanted:
            trials.append(_trial(line, acc, stamps, full_scale, rate_hz))
    if wanted is not None and wanted - known:
        raise FormatError(f"{index}: no subject {', '.join(sorted(wanted - known))}; it has {', '.join(sorted(known))}")
    if not trials:
        raise FormatError(f"{index}: no trials")
    return trials


def _arrays(npz: Path) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """Acceleration in g, and time stamps in seconds if there are any."""
    raw, stamps = read_acceleration(npz)
    acc = (raw * 0.001).astype(np.float32)
    typical = typical_magnitude(acc)
    if not _PLAUSIBLE_G[0] <= typical <= _PLAUSIBLE_G[1]:
        raise FormatError(f"{npz}: 'acc' must be in milli-g; its typical magnitude is {1000 * typical:.4g}")
    if stamps is None:
        return acc, None
    if stamps.shape != (len(acc),) or stamps.dtype.kind not in "iuf":
        raise FormatError(f"{npz}: 'acc_t' must have one number a row of 'acc', it is {stamps.dtype} {stamps.shape}")
    return acc, stamps.astype(np.float64) * 0.001


def _full_scale(acc: NDArray[np.float32]) -> float:
    largest = float(np.nanmax(np.abs(acc)))
    return next((g for g in RANGES_G if largest <= g * 1.03), largest)


@dataclass(frozen=True, slots=True)
class _Line:
    """One row of the index, read by column with errors that name the place."""

    index: Path
    number: int
    row: Row

    def text(self, name: str) -> str:
        return self.row.get(name, "").strip()

    def number_of(self, name: str) -> float | None:
        return number(self.index, self.number, name, self.text(name))

    def whole(self, name: str) -> int:
        value = self.number_of(name)
        if value is None or value != int(value) or value < 0:
            raise self.error(f"{name} must be a whole number from 0, it is {self.text(name)!r}")
        return int(value)

    def error(self, what: str) -> FormatError:
        return FormatError(f"{self.index}:{self.number}: {what}")


def _trial(
    line: _Line, acc: NDArray[np.float32], stamps: NDArray[np.float64] | None, full_scale: float, rate: float | None
) -> Trial:
    start, n = line.whole("acc_off"), line.whole("acc_n")
    if n < 2 or start + n > len(acc):
        raise line.error(f"acc_off {start} and acc_n {n} do not fit the {len(acc)} rows of 'acc'")
    part = acc[start : start + n]
    t = None if stamps is None else stamps[start : start + n]
    if t is not None and not 0.0 <= t[0] <= _FIRST_S:
        t = t - t[0]
    rate_hz, holes = _clock(line, n, t, rate)
    is_fall = flag(line.index, line.number, "is_fall", line.text("is_fall"))
    if is_fall is None:
        raise line.error("is_fall is missing")
    trial = Trial(
        name=line.text("trial") or f"line {line.number}",
        subject=line.text("subject"),
        elder=_elder(line),
        activity=line.text("activity") or "not named",
        is_fall=is_fall,
        rate_hz=rate_hz,
        full_scale_g=full_scale,
        acc=part,
        holes=holes,
    )
    return _labelled(line, trial, t) if is_fall else trial


def _elder(line: _Line) -> bool | None:
    group = line.text("group").lower()
    if group.startswith((*_ELDERS, *_OTHERS)):
        return group.startswith(_ELDERS)
    age = re.search(r"\d+", line.text("age"))  # also of "77-95" and "60+"
    return None if age is None else int(age[0]) >= ELDER_AGE


def _clock(
    line: _Line, n: int, t: NDArray[np.float64] | None, rate: float | None
) -> tuple[float, tuple[tuple[int, float], ...]]:
    """Rate and holes of a trial. Time stamps of a clock that stepped back tell the rate, and nothing else."""
    holes: tuple[tuple[int, float], ...] = ()
    if t is not None and rate is None:
        steps = np.diff(t)
        if not bool(np.isfinite(steps).all()):
            raise line.error("a time stamp is not finite")
        # Stamps come in bursts, as radio packets do: only the whole span tells the rate, less what was lost.
        lost = np.flatnonzero(steps > _HOLE_S) if bool((steps >= 0).all()) else np.zeros(0, dtype=np.int64)
        span = float(t[-1] - t[0]) - float(steps[lost].sum())
        if bool((steps < 0).any()):
            span = _true_span(t, span)
        if span <= 0 or n - 1 <= len(lost):
            raise line.error("the time stamps do not advance")
        rate = (n - 1 - len(lost)) / span
        holes = tuple((int(i) + 1, float(steps[i]) - 1.0 / rate) for i in lost)
    if rate is None:
        rate = line.number_of("acc_fs_est")
    if rate is None and (duration := line.number_of("dur_s")):
        rate = (n - 1) / duration
    if rate is None:
        raise line.error("no rate: it needs 'acc_t', acc_fs_est, dur_s or --rate")
    if not _LOWEST_RATE_HZ <= rate <= _HIGHEST_RATE_HZ:
        raise line.error(f"a rate of {rate:.4g} Hz cannot be")
    return rate, holes


def _true_span(t: NDArray[np.float64], span: float) -> float:
    """How long a trial took whose clock stepped back: `span` if the clock had run ahead by as much before, else what
    the middle of its pieces of half a second says.
    """
    rows = max(2, round(len(t) * 0.5 / max(span, 0.5)) if span > 0 else len(t) // 20)
    rows = min(rows, len(t) - 1)
    took = float(np.median(t[rows:] - t[:-rows])) * (len(t) - 1) / rows
    return took if abs(took - span) > 0.03 * took else span


def _labelled(line: _Line, trial: Trial, t: NDArray[np.float64] | None) -> Trial:
    """The fall's impact and extent, moved from the trial's own clock to its rows."""
    magnitude = np.nan_to_num(np.linalg.norm(trial.acc, axis=1))
    times = np.arange(len(magnitude)) / trial.rate_hz if t is None else t
    latest = max(float(times.max()), trial.duration_s) + _BESIDE_S

    def row_of(name: str, *, loudest: bool, anywhere: bool = False) -> int | None:
        seconds = line.number_of(name)
        if seconds is None:
            return None
        if not anywhere and not -_BESIDE_S <= seconds <= latest:
            raise line.error(f"{name} {seconds:g} lies outside of the trial's {trial.duration_s:.4g} s")
        far = np.abs(times - seconds)
        near = np.flatnonzero(far <= max(0.1, float(far.min())))
        return int(near[np.argmax(magnitude[near])]) if loudest else int(near[np.argmin(far[near])])

    impact = row_of("peak_t_s", loudest=True)
    start, end = row_of("fall_start_s", loudest=False), row_of("fall_end_s", loudest=False, anywhere=True)
    extent = None
    if start is not None and end is not None:
        if (line.number_of("fall_end_s") or 0.0) < (line.number_of("fall_start_s") or 0.0):
            raise line.error("fall_end_s is before fall_start_s")
        extent = (trial.time_of(start), trial.time_of(max(start, end)))
    loudest = int(np.argmax(magnitude))
    return replace(trial, impact_s=trial.time_of(loudest if impact is None else impact), fall_s=extent)
