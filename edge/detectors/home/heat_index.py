"""How hot it feels: the heat index of the US National Weather Service.

Source: L. P. Rothfusz, "The Heat Index Equation", NWS Technical Attachment SR 90-23 (1990), with the adjustments and
the simple formula (after Steadman 1979) given at www.wpc.ncep.noaa.gov/html/heatindex_equation.shtml, against which
every coefficient was checked. The index is of shade and light wind: that of a room.
"""

from __future__ import annotations

import math

_REGRESSION_FROM_F = 80.0


def heat_index(celsius: float, humidity: float) -> float:
    """Heat index in degrees Celsius of air at `celsius` and a relative humidity in per cent (0 to 100)."""
    t = celsius * 9 / 5 + 32
    simple = 0.5 * (t + 61.0 + (t - 68.0) * 1.2 + humidity * 0.094)
    found = (simple + t) / 2
    if found >= _REGRESSION_FROM_F:
        found = _regression(t, humidity)
        if humidity < 13 and 80 <= t <= 112:
            found -= (13 - humidity) / 4 * math.sqrt((17 - abs(t - 95)) / 17)
        elif humidity > 85 and 80 <= t <= 87:
            found += (humidity - 85) / 10 * (87 - t) / 5
    return (found - 32) * 5 / 9


def _regression(t: float, rh: float) -> float:
    """In degrees Fahrenheit."""
    return (
        -42.379
        + 2.04901523 * t
        + 10.14333127 * rh
        - 0.22475541 * t * rh
        - 0.00683783 * t * t
        - 0.05481717 * rh * rh
        + 0.00122874 * t * t * rh
        + 0.00085282 * t * rh * rh
        - 0.00000199 * t * t * rh * rh
    )
