"""The last seconds of one device's signal at one rate, whatever rate, frame length and clock the device has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.readings import SignalFrame

LONGEST_GAP_S = 2.0
"""A shorter hole in the signal is kept as missing samples; a longer one separates before from after."""

_SAME_TIME_S = 0.1
_AVERAGED_FROM = 1.5


@dataclass(frozen=True, slots=True)
class _Joint:
    """Where the next frame continues: number and end of the last one, and its last samples."""

    seq: int
    end: float
    rate_hz: float
    tail: NDArray[np.float64]


class StreamingWindow:
    """Samples of chosen channels, resampled to `rate_hz` by linear interpolation, NaN where signal is missing.

    A device with one and a half times the rate or more is first averaged over the samples that fall on one of ours,
    so that what lies between them is not lost. What is not
    finite counts as missing. Samples carry an absolute index that counts from 0 and never runs back;
    `first`..`total` are kept, at least the last `length_s` seconds of them. How the signal was cut into frames makes no
    difference to the samples. Frames with consecutive `seq` are joined in their order even where the device's clock
    stepped; a break longer than `LONGEST_GAP_S`, or of unknown length, is filled with `break_s` seconds of NaN (the
    whole length if not given) so that nothing is computed across it.
    """

    def __init__(
        self, rate_hz: float, length_s: float, channels: tuple[str, ...], break_s: float | None = None
    ) -> None:
        self.rate_hz = rate_hz
        self.channels = channels
        self.total = 0
        self._keep = math.ceil(rate_hz * length_s)
        self._break = self._keep if break_s is None else math.ceil(rate_hz * break_s)
        self._samples = np.full((2 * self._keep, len(channels)), np.nan)
        self._times = np.zeros(2 * self._keep)
        self._fill = 0
        self._last: _Joint | None = None
        self._taken = 0
        self._made = 0

    @property
    def first(self) -> int:
        """Index of the oldest sample still kept."""
        return self.total - self._fill

    def view(self, start: int, stop: int) -> NDArray[np.float64]:
        """Samples `start` to `stop` (exclusive), clipped to what is kept; shape (n, channels), valid until the next
        push.
        """
        begin, end = self._slots(start, stop)
        return self._samples[begin:end]

    def times(self, start: int, stop: int) -> NDArray[np.float64]:
        """Unix times of the samples `start` to `stop`, clipped to what is kept."""
        begin, end = self._slots(start, stop)
        return self._times[begin:end]

    def push(self, frame: SignalFrame) -> int:
        """Append one frame and return how many samples it made; raises ValueError if a channel is absent."""
        columns = [frame.channels.index(name) for name in self.channels]
        if len(frame.samples) == 0:
            return 0
        before = self.total
        samples = frame.samples[:, columns].astype(np.float64)
        samples[~np.isfinite(samples)] = np.nan
        ratio = frame.rate_hz / self.rate_hz
        width = round(ratio) if ratio >= _AVERAGED_FROM else 1
        tail = self._join(frame)
        if tail is None:
            tail = np.repeat(samples[:1], width, axis=0)
        reached = self._taken + len(samples)
        stop = math.floor((reached - 1) / ratio) + 1
        positions = np.arange(self._made, stop, dtype=np.float64) * ratio
        times = frame.at + (positions - self._taken) / frame.rate_hz
        joined = np.concatenate((tail, samples))
        self._last = _Joint(frame.seq, frame.at + len(samples) / frame.rate_hz, frame.rate_hz, joined[-width:])
        if width > 1:
            joined = np.lib.stride_tricks.sliding_window_view(joined, width, axis=0).mean(axis=-1)
        self._append(_interpolate(joined, positions - (reached - len(joined))), times)
        self._made = max(stop, self._made)
        self._taken = reached
        return self.total - before

    def state(self, length_s: float) -> dict[str, Any]:
        """The last `length_s` seconds and where the signal stands, as plain JSON values; see `restore`."""
        start = max(self.first, self.total - math.ceil(self.rate_hz * length_s))
        last = self._last
        return {
            "total": self.total,
            "samples": _plain(self.view(start, self.total).round(3)),
            "times": self.times(start, self.total).round(3).tolist(),
            "joint": None if last is None else [last.seq, last.end, last.rate_hz, _plain(last.tail)],
            "phase": [self._taken, self._made],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken; raises ValueError, TypeError or KeyError if it is none."""
        shape = (-1, len(self.channels))
        samples = np.array(state["samples"], dtype=np.float64).reshape(shape)
        times = np.array(state["times"], dtype=np.float64).reshape(len(samples))
        total, (taken, made) = int(state["total"]), (int(n) for n in state["phase"])
        joint = None
        if state["joint"] is not None:
            seq, end, rate_hz, tail = state["joint"]
            rows = np.array(tail, dtype=np.float64).reshape(shape)
            joint = _Joint(int(seq), float(end), float(rate_hz), rows)
        if total < len(samples) or taken < 0 or made < 0:
            raise ValueError("a window that counts wrong")
        self._fill = 0
        self.total = total - len(samples)
        self._append(samples, times)
        self._last, self._taken, self._made = joint, taken, made

    def _slots(self, start: int, stop: int) -> tuple[int, int]:
        first = self.first
        return max(start - first, 0), max(min(stop - first, self._fill), 0)

    def _join(self, frame: SignalFrame) -> NDArray[np.float64] | None:
        """Prepare for `frame`: return the samples it continues, or start a new segment and return None."""
        last = self._last
        if last is None:
            return None
        gap = frame.at - last.end
        follows = frame.seq == last.seq + 1 and gap <= LONGEST_GAP_S
        if not follows and abs(gap) > _SAME_TIME_S:
            missing = round(gap * self.rate_hz) if 0 < gap <= LONGEST_GAP_S else self._break
            self._append(
                np.full((missing, len(self.channels)), np.nan), last.end + np.arange(missing) * max(gap, 0.0) / missing
            )
        elif frame.rate_hz == last.rate_hz:
            return last.tail
        self._taken = 0
        self._made = 0
        return None

    def _append(self, samples: NDArray[np.float64], times: NDArray[np.float64]) -> None:
        self.total += len(samples)
        samples, times = samples[-self._keep :], times[-self._keep :]
        if self._fill + len(samples) > len(self._samples):
            kept = self._keep - len(samples) if len(samples) < self._keep else 0
            kept = min(self._fill, max(kept, 0))
            self._samples[:kept] = self._samples[self._fill - kept : self._fill].copy()
            self._times[:kept] = self._times[self._fill - kept : self._fill].copy()
            self._fill = kept
        self._samples[self._fill : self._fill + len(samples)] = samples
        self._times[self._fill : self._fill + len(samples)] = times
        self._fill += len(samples)


def _interpolate(samples: NDArray[np.float64], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of `samples` at fractional row `positions`; a whole position never looks at its neighbour."""
    below = np.clip(np.floor(positions).astype(np.int64), 0, len(samples) - 1)
    above = np.minimum(below + 1, len(samples) - 1)
    share = (positions - below)[:, None]
    mixed = samples[below] * (1 - share) + samples[above] * share
    result: NDArray[np.float64] = np.where(share == 0, samples[below], mixed)
    return result


def _plain(rows: NDArray[np.float64]) -> list[list[float | None]]:
    return [[None if math.isnan(v) else float(v) for v in row] for row in rows]
