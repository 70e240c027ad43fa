"""Where windows begin: quarters of an hour in UTC, days in the district's time zone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

QUARTER_S = 900
DAY_S = 86_400


def quarter_of(at: float) -> int:
    """Begin of the quarter of an hour that holds `at` (Unix seconds)."""
    return int(at // QUARTER_S * QUARTER_S)


def day_of(at: float, zone: ZoneInfo) -> int:
    """Begin of the local day that holds `at`."""
    local = datetime.fromtimestamp(at, zone)
    return int(local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())


def next_day(day: int, zone: ZoneInfo) -> int:
    """Begin of the local day after the one that begins at `day`; a day may have 23 or 25 hours."""
    noon = datetime.fromtimestamp(day, zone) + timedelta(hours=36)
    return day_of(noon.timestamp(), zone)


def month_of(at: float, zone: ZoneInfo) -> str:
    """The local month, as YYYY-MM."""
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m")


def month_begin(month: str, zone: ZoneInfo) -> float:
    """When a local month begins. Raises ValueError unless it is YYYY-MM."""
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise ValueError(f"{month!r} is not a month (YYYY-MM)")
    return datetime(int(month[:4]), int(month[5:]), 1, tzinfo=zone).timestamp()
