"""GCJ-02, the shifted datum of maps in mainland China, to and from WGS-84; everything that is stored is WGS-84."""

from __future__ import annotations

import math

from edge.detectors.location.geometry import inside_ring

_A = 6378245.0
_EE = 0.00669342162296594323
"""Krasovsky's ellipsoid, as every published conversion has it: with it the test vector holds to the last digit, with
the radius of WGS-84 (6378137) to a centimetre."""
_BOX = (0.8293, 55.8271, 72.004, 137.8347)
_ITERATIONS = 3
"""Of the inverse; two leave less than 1 cm."""

_HONG_KONG = (
    *((113.83, 22.14), (114.52, 22.14), (114.47, 22.56), (114.30, 22.565), (114.228, 22.547), (114.185, 22.556)),
    *((114.160, 22.561), (114.145, 22.541), (114.113, 22.532), (114.090, 22.529), (114.075, 22.517), (114.055, 22.512)),
    *((114.030, 22.503), (113.985, 22.500), (113.940, 22.470), (113.870, 22.420)),
)
_MACAU = ((113.525, 22.10), (113.61, 22.10), (113.61, 22.21), (113.55, 22.217), (113.535, 22.19))
"""Longitude and latitude; along the Shenzhen River and the bays, good to some hundred metres."""


def shifted_here(lat: float, lon: float) -> bool:
    """Whether maps are shifted at this WGS-84 position: mainland China, not Hong Kong and Macau."""
    south, north, west, east = _BOX
    if not (south <= lat <= north and west <= lon <= east):
        return False
    return not inside_ring((lon, lat), _HONG_KONG) and not inside_ring((lon, lat), _MACAU)


def from_wgs84(lat: float, lon: float) -> tuple[float, float]:
    """GCJ-02 of a WGS-84 position (latitude, longitude in degrees); unchanged where maps are not shifted."""
    if not shifted_here(lat, lon):
        return lat, lon
    north, east = _shift(lat, lon)
    return lat + north, lon + east


def to_wgs84(lat: float, lon: float) -> tuple[float, float]:
    """WGS-84 of a GCJ-02 position, by fixed-point iteration."""
    found = (lat, lon)
    for _ in range(_ITERATIONS):
        north, east = _shift(*found)
        found = (lat - north, lon - east)
    return found if shifted_here(*found) else (lat, lon)


def _shift(lat: float, lon: float) -> tuple[float, float]:
    """Published series of the datum, in degrees north and east."""
    x, y = lon - 105.0, lat - 35.0
    root = math.sqrt(abs(x))
    wave = (20.0 * math.sin(6.0 * x * math.pi) + 20.0 * math.sin(2.0 * x * math.pi)) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + wave
    north += (20.0 * math.sin(y * math.pi) + 40.0 * math.sin(y / 3.0 * math.pi)) * 2.0 / 3.0
    north += (160.0 * math.sin(y / 12.0 * math.pi) + 320.0 * math.sin(y * math.pi / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + wave
    east += (20.0 * math.sin(x * math.pi) + 40.0 * math.sin(x / 3.0 * math.pi)) * 2.0 / 3.0
    east += (150.0 * math.sin(x / 12.0 * math.pi) + 300.0 * math.sin(x / 30.0 * math.pi)) * 2.0 / 3.0
    phi = math.radians(lat)
    magic = 1 - _EE * math.sin(phi) ** 2
    return (
        math.degrees(north * magic * math.sqrt(magic) / (_A * (1 - _EE))),
        math.degrees(east * math.sqrt(magic) / (_A * math.cos(phi))),
    )
