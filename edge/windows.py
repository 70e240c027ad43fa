"""The last seconds of one device's signal at one rate, whatever rate, frame length and clock the device has."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge.readings import SignalFrame

LONGEST_GAP_S = 2.0
"""A shorter hole in the signal is kept as missing samples; a longer one separates before from after."""

_SAME_TIME_S = 0.1


class StreamingWindow:
    """Samples of chosen channels, resampled to `rate_hz` by linear interpolation, NaN where signal is missing.

    Samples carry an absolute index that counts from 0 and never runs back; `first`..`total` are kept, at least the last
    `length_s` seconds of them. How the signal was cut into frames makes no difference to the samples. Frames with
    consecutive `seq` are joined in their order even where the device's clock stepped; a break longer than
    `LONGEST_GAP_S`, or of unknown length, is filled with a whole window of NaN so that nothing is computed across it.
    """

    def __init__(self, rate_hz: float, length_s: float, channels: tuple[str, ...]) -> None:
        self.rate_hz = rate_hz
        self.channels = channels
        self.total = 0
        self._keep = math.ceil(rate_hz * length_s)
        self._samples = np.full((2 * self._keep, len(channels)), np.nan)
        self._times = np.zeros(2 * self._keep)
        self._fill = 0
        self._last: SignalFrame | None = None
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
        carry = self._join(frame)
        ratio = frame.rate_hz / self.rate_hz
        reached = self._taken + len(samples)
        stop = math.floor((reached - 1) / ratio) + 1
        positions = np.arange(self._made, stop, dtype=np.float64) * ratio
        times = frame.at + (positions - self._taken) / frame.rate_hz
        if carry is not None:
            samples = np.concatenate((carry, samples))
        self._append(_interpolate(samples, positions - (reached - len(samples))), times)
        self._made = max(stop, self._made)
        self._taken = reached
        self._last = frame
        return self.total - before

    def _slots(self, start: int, stop: int) -> tuple[int, int]:
        first = self.first
        return max(start - first, 0), max(min(stop - first, self._fill), 0)

    def _join(self, frame: SignalFrame) -> NDArray[np.float64] | None:
        """Prepare for `frame`: return the sample to interpolate from if it continues the last one, else start a new
        segment.
        """
        last = self._last
        if last is None:
            return None
        gap = frame.at - (last.at + len(last.samples) / last.rate_hz)
        follows = frame.seq == last.seq + 1 and gap <= LONGEST_GAP_S
        if not follows and abs(gap) > _SAME_TIME_S:
            missing = round(gap * self.rate_hz) if 0 < gap <= LONGEST_GAP_S else self._keep
            start = last.at + len(last.samples) / last.rate_hz
            self._append(
                np.full((missing, len(self.channels)), np.nan), start + np.arange(missing) * max(gap, 0.0) / missing
            )
        elif frame.rate_hz == last.rate_hz:
            columns = [last.channels.index(name) for name in self.channels]
            return last.samples[-1:, columns].astype(np.float64)
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
