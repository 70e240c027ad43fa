"""What is measured around an impact: figures of the magnitude and of the direction of gravity, the same however the
device is turned.

Theory of operation. The seconds around the largest magnitude are cut into parts (before, just before, the impact,
after, and the last second known). Gravity is the mean of a part; posture is the angle between two means, so no axis has
a name. Times are samples at RATE_HZ from the impact. Missing samples are bridged by straight lines (`bridged`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE_HZ: Final = 50
BEFORE: Final = 150
"""Samples before the impact that count (3 s)."""
AFTER: Final = 165
"""Samples after the impact that are waited for (3.3 s)."""
NEIGHBOURHOOD: Final = 50
"""An impact is the largest magnitude within so many samples either side."""

Signal = NDArray[np.float64]

NAMES: Final = (
    "peak", "peak_smooth", "peak_step", "swing", "area", "width", "clipped",
    "dip", "dip_smooth", "fall_speed", "low_time", "weightless", "dip_lead",
    "before_spread", "before_level", "before_peak", "lead_spread", "lead_level",
    "settle_level", "after_spread", "after_level", "after_peak", "late_spread", "late_level", "late_peak",
    "stillest", "rest",
    "posture", "posture_late", "turn", "turn_after", "turn_before", "path", "quickest",
    "impact_along_before", "impact_along_after",
    "peaks_before", "peaks_after", "crossings_before", "crossings_after", "share_before", "share_after",
    "still_after",
)  # fmt: skip
"""A model may use only the first of them: new ones come last."""


def bridged(rows: Signal) -> Signal:
    """`rows` (n, 3) with NaN rows replaced by straight lines between their neighbours (held at the ends).

    Raises ValueError if nothing is known.
    """
    known = np.flatnonzero(~np.isnan(rows).any(axis=1))
    if len(known) == len(rows):
        return rows
    if len(known) == 0:
        raise ValueError("no sample is known")
    at = np.arange(len(rows))
    return np.column_stack([np.interp(at, known, column[known]) for column in rows.T])


@dataclass(frozen=True, slots=True, eq=False)
class _Around:
    """The padded signal: acceleration, its magnitude, how far that is from gravity's, and the magnitude smoothed."""

    acc: Signal
    magnitude: Signal
    off: Signal
    smooth: Signal


_AT: Final = BEFORE
"""The row of the impact in the padded signal; the parts below count from there."""
_EARLIER, _LEAD, _SETTLE = slice(0, _AT - 50), slice(_AT - 50, _AT - 15), slice(_AT + 15, _AT + 50)
_LATER, _LAST = slice(_AT + 50, _AT + 110), slice(_AT + 110, _AT + AFTER)
_CLOSE: Final = slice(_AT - 12, _AT + 13)
_HALF_SECOND: Final = slice(_AT - 25, _AT + 26)
_SECOND_BEFORE: Final = slice(_AT - 50, _AT + 1)
_FIFTH: Final = 10
_STILL_G: Final = 0.05


def features(rows: Signal, impact: int) -> NDArray[np.float64]:
    """The figures in the order of NAMES, from acceleration in g, shape (n, 3) at RATE_HZ without NaN; `impact` is the
    row of the largest magnitude, with at least one second before and after it.
    """
    acc = _padded(rows, impact)
    magnitude = np.sqrt(np.einsum("ij,ij->i", acc, acc))
    around = _Around(acc, magnitude, np.abs(magnitude - 1.0), _moving(magnitude, 5))
    parts = (_blow, _way_down, _before, _afterwards, _posture, _rhythm, _coming_to_rest)
    return np.array([figure for part in parts for figure in part(around)], dtype=np.float64)


def _blow(of: _Around) -> tuple[float, ...]:
    """The impact itself: how high, how sharp, how long, and whether the sensor's range cut it."""
    near, peak = of.acc[_CLOSE], float(of.magnitude[_AT])
    steps = np.sqrt((np.diff(of.acc, axis=0) ** 2).sum(axis=1))
    return (
        _log(peak, 0.0),
        _log(float(of.smooth[_AT - 5 : _AT + 6].max()), 0.0),
        _log(float(steps[_AT - 10 : _AT + 10].max())),
        _log(float(np.sqrt(((near.max(0) - near.min(0)) ** 2).sum())), 0.0),
        float((of.magnitude[_HALF_SECOND] - 1.0).clip(0).sum()) / RATE_HZ,
        float((of.magnitude[_HALF_SECOND] > 0.5 * (1 + peak)).sum()),
        float((np.abs(near) >= 0.985 * np.abs(near).max()).any(axis=1).sum()),
    )


def _way_down(of: _Around) -> tuple[float, ...]:
    """The second before: how much weight was lost, for how long, and how shortly before."""
    magnitude, smooth = of.magnitude[_SECOND_BEFORE], of.smooth[_SECOND_BEFORE]
    dip = int(np.argmin(smooth))
    return (
        float(magnitude.min()),
        float(smooth[dip]),
        float((1.0 - magnitude).clip(0).sum()) / RATE_HZ,
        float((smooth < 0.75).sum()),
        float((smooth < 0.3).sum()),
        float(50 - dip),
    )


def _before(of: _Around) -> tuple[float, ...]:
    """How lively it was before."""
    return (
        _log(_spread(of.acc[_EARLIER])),
        _log(float(of.off[_EARLIER].mean())),
        _log(float(of.magnitude[_EARLIER].max()), 0.0),
        _log(_spread(of.acc[_LEAD])),
        _log(float(of.off[_LEAD].mean())),
    )


def _afterwards(of: _Around) -> tuple[float, ...]:
    """How lively it is afterwards; the stillest 0.8 s; and whether gravity alone is left."""
    spreads = [_spread(of.acc[at : at + 40]) for at in range(_AT + 50, _AT + AFTER - 39, 15)]
    rest = of.acc[_LAST].mean(0)
    return (
        _log(float(of.off[_SETTLE].mean())),
        _log(_spread(of.acc[_LATER])),
        _log(float(of.off[_LATER].mean())),
        _log(float(of.magnitude[_LATER].max()), 0.0),
        _log(_spread(of.acc[_LAST])),
        _log(float(of.off[_LAST].mean())),
        _log(float(of.magnitude[_LAST].max()), 0.0),
        _log(min(spreads)),
        abs(float(np.sqrt((rest**2).sum())) - 1.0),
    )


def _posture(of: _Around) -> tuple[float, ...]:
    """Angles between the directions of gravity, how quickly it turned, and how the blow lay to it."""
    before, lead, after, last = (of.acc[part].mean(0) for part in (_EARLIER, _LEAD, _LATER, _LAST))
    gravity = np.column_stack([_moving(column, 25) for column in of.acc.T])
    gravity /= np.sqrt((gravity**2).sum(axis=1, keepdims=True)) + 1e-6
    turning = np.degrees(np.arccos(np.clip((gravity[10:] * gravity[:-10]).sum(axis=1), -1.0, 1.0)))
    hit = of.acc[_CLOSE].mean(0)
    return (
        _angle(before, after),
        _angle(before, last),
        _angle(lead, after),
        _angle(after, last),
        _angle(before, lead),
        float(turning[_AT - 60 : _AT + 50 : 10].sum()),
        float(turning[_AT - 60 : _AT + 50].max()),
        _cosine(hit, before),
        _cosine(hit, after),
    )


def _rhythm(of: _Around) -> tuple[float, ...]:
    """Steps and other repetition before and after, and how busy both are beside the impact."""
    busy = float(of.off[_HALF_SECOND].mean()) + 0.02
    return (
        float(_peaks(of.magnitude[: _AT - 25])),
        float(_peaks(of.magnitude[_AT + 25 :])),
        float((np.diff(np.signbit(of.smooth[_EARLIER] - 1.0))).sum()),
        float((np.diff(np.signbit(of.smooth[_AT + 50 :] - 1.0))).sum()),
        float(of.off[_EARLIER].mean()) / busy,
        float(of.off[_AT + 50 :].mean()) / busy,
    )


def _coming_to_rest(of: _Around) -> tuple[float, ...]:
    """How soon after the impact a fifth of a second is still for the first time, samples (all of them if never): a
    device that lies alone is at once, an arm that fell comes to rest more slowly.
    """
    parts = np.lib.stride_tricks.sliding_window_view(of.acc[_AT + 5 :], _FIFTH, axis=0)
    still = np.flatnonzero(parts.var(axis=2).sum(axis=1) < _STILL_G**2)
    return (float(still[0]) if len(still) else float(AFTER),)


def _padded(rows: Signal, impact: int) -> Signal:
    """BEFORE + AFTER rows around the impact; what is not known repeats the nearest that is."""
    at = np.clip(np.arange(impact - BEFORE, impact + AFTER), 0, len(rows) - 1)
    return rows[at]


def _moving(values: Signal, width: int) -> Signal:
    """Centred moving mean of odd `width`; the ends repeat."""
    half = width // 2
    sums = np.cumsum(np.concatenate((np.zeros(1), np.repeat(values[0], half), values, np.repeat(values[-1], half))))
    result: Signal = (sums[width:] - sums[:-width]) / width
    return result


def _log(value: float, least: float = 0.01) -> float:
    """The logarithm, kept from minus infinity where the value may be nothing."""
    return float(np.log(value + least))


def _spread(part: Signal) -> float:
    return float(np.sqrt(part.var(axis=0).sum()))


def _cosine(u: Signal, v: Signal) -> float:
    return float(u @ v) / (float(np.sqrt((u @ u) * (v @ v))) + 1e-9)


def _angle(u: Signal, v: Signal) -> float:
    """Degrees between two directions."""
    return float(np.degrees(np.arccos(max(-1.0, min(1.0, _cosine(u, v))))))


def _peaks(m: Signal) -> int:
    """Maxima above 1.4 g at least a fifth of a second apart."""
    high = np.flatnonzero((m[1:-1] > 1.4) & (m[1:-1] >= m[:-2]) & (m[1:-1] > m[2:]))
    count, last = 0, -100
    for at in high:
        if at - last >= 10:
            count, last = count + 1, int(at)
    return count
