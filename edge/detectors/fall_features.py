"""What is measured around an impact: figures of the magnitude and of the direction of gravity, the same however the
device is turned.

Theory of operation. The seconds around the largest magnitude are cut into parts (before, just before, the impact,
after, and the last second known). Gravity is the mean of a part; posture is the angle between two means, so no axis has
a name. Times are samples at RATE_HZ from the impact. Missing samples are bridged by straight lines (`bridged`).
"""

from __future__ import annotations

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
    "dip", "dip_smooth", "fall_speed", "low_time", "dip_lead",
    "before_spread", "before_level", "before_peak", "lead_spread", "lead_level",
    "settle_level", "after_spread", "after_level", "after_peak", "late_spread", "late_level", "late_peak",
    "stillest", "rest",
    "posture", "posture_late", "turn", "turn_after", "turn_before", "path", "quickest",
    "impact_along_before", "impact_along_after",
    "peaks_before", "peaks_after", "crossings_before", "crossings_after", "share_before", "share_after",
)  # fmt: skip


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


def features(rows: Signal, impact: int) -> NDArray[np.float64]:
    """The figures in the order of NAMES, from acceleration in g, shape (n, 3) at RATE_HZ without NaN; `impact` is the
    row of the largest magnitude, with at least one second before and after it.
    """
    a = _padded(rows, impact)
    i = BEFORE
    m = np.sqrt(np.einsum("ij,ij->i", a, a))
    d = np.abs(m - 1.0)
    smooth = _moving(m, 5)
    steps = np.sqrt((np.diff(a, axis=0) ** 2).sum(axis=1))
    near = a[i - 12 : i + 13]
    before, lead, settle = slice(0, i - 50), slice(i - 50, i - 15), slice(i + 15, i + 50)
    after, late = slice(i + 50, i + 110), slice(i + 110, i + AFTER)
    g_before, g_lead = a[before].mean(0), a[lead].mean(0)
    g_after, g_late = a[after].mean(0), a[late].mean(0)
    gravity = np.column_stack([_moving(column, 25) for column in a.T])
    gravity /= np.sqrt((gravity**2).sum(axis=1, keepdims=True)) + 1e-6
    turning = np.degrees(np.arccos(np.clip((gravity[10:] * gravity[:-10]).sum(axis=1), -1.0, 1.0)))
    window = m[i - 50 : i + 1]
    dip = int(np.argmin(smooth[i - 50 : i + 1]))
    hit = near.mean(0)
    peak = float(m[i])
    spreads = [float(np.sqrt(a[s : s + 40].var(axis=0).sum())) for s in range(i + 50, i + AFTER - 39, 15)]
    busy_before = float(d[before].mean())
    busy_after = float(d[i + 50 :].mean())
    values = (
        np.log(peak),
        np.log(float(smooth[i - 5 : i + 6].max())),
        np.log(float(steps[i - 10 : i + 10].max()) + 0.01),
        np.log(float(np.sqrt(((near.max(0) - near.min(0)) ** 2).sum()))),
        float((m[i - 25 : i + 26] - 1.0).clip(0).sum()) / RATE_HZ,
        float((m[i - 25 : i + 26] > 0.5 * (1 + peak)).sum()),
        float((np.abs(near) >= 0.985 * np.abs(near).max()).any(axis=1).sum()),
        float(window.min()),
        float(smooth[i - 50 + dip]),
        float((1.0 - m[i - 50 : i + 1]).clip(0).sum()) / RATE_HZ,
        float((smooth[i - 50 : i + 1] < 0.75).sum()),
        float(50 - dip),
        np.log(_spread(a[before]) + 0.01),
        np.log(busy_before + 0.01),
        np.log(float(m[before].max())),
        np.log(_spread(a[lead]) + 0.01),
        np.log(float(d[lead].mean()) + 0.01),
        np.log(float(d[settle].mean()) + 0.01),
        np.log(_spread(a[after]) + 0.01),
        np.log(float(d[after].mean()) + 0.01),
        np.log(float(m[after].max())),
        np.log(_spread(a[late]) + 0.01),
        np.log(float(d[late].mean()) + 0.01),
        np.log(float(m[late].max())),
        np.log(min(spreads) + 0.01),
        abs(float(np.sqrt((g_late**2).sum())) - 1.0),
        _angle(g_before, g_after),
        _angle(g_before, g_late),
        _angle(g_lead, g_after),
        _angle(g_after, g_late),
        _angle(g_before, g_lead),
        float(turning[i - 60 : i + 50 : 10].sum()),
        float(turning[i - 60 : i + 50].max()),
        _cosine(hit, g_before),
        _cosine(hit, g_after),
        float(_peaks(m[: i - 25])),
        float(_peaks(m[i + 25 :])),
        float((np.diff(np.signbit(smooth[before] - 1.0))).sum()),
        float((np.diff(np.signbit(smooth[i + 50 :] - 1.0))).sum()),
        busy_before / (float(d[i - 25 : i + 26].mean()) + 0.02),
        busy_after / (float(d[i - 25 : i + 26].mean()) + 0.02),
    )
    return np.array(values, dtype=np.float64)


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
