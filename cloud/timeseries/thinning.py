"""How a long time becomes a chart: which resolution answers it, and how wide the windows are."""

from __future__ import annotations

from cloud.timeseries.base import Resolution

_RAW_UP_TO_S = 2 * 86_400.0
_QUARTERS_UP_TO_S = 60 * 86_400.0


def window_ms(first: int, last: int, max_points: int) -> int:
    """Width of the windows that thin `first`..`last` (ms) to at most `max_points`; windows start at its multiples."""
    return max(1, -(-(last - first) // max(1, max_points - 1)))


def resolution_for(start: float, end: float, now: float, raw_days: float) -> Resolution:
    """Raw values for up to two days, quarters of an hour up to sixty, days beyond; what is no longer there, never."""
    span = end - start
    if span <= _RAW_UP_TO_S and start >= now - raw_days * 86_400:
        return Resolution.RAW
    return Resolution.QUARTER if span <= _QUARTERS_UP_TO_S else Resolution.DAY
