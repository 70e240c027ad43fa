"""Distances on a small piece of the Earth, in metres on a plane that touches it (WGS-84)."""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, float]
"""East and north in metres, on a plane."""


class Plane:
    """East and north of one origin. Wrong by less than 0.1 % within 50 km; longitudes may cross 180 degrees."""

    def __init__(self, lat: float, lon: float) -> None:
        self.lat, self.lon = lat, lon
        phi = math.radians(lat)
        # Lengths of a degree on the WGS-84 ellipsoid as series in the latitude, within 4 cm of its closed form.
        self._north = 111132.954 - 559.822 * math.cos(2 * phi) + 1.175 * math.cos(4 * phi)
        self._east = 111412.84 * math.cos(phi) - 93.5 * math.cos(3 * phi) + 0.118 * math.cos(5 * phi)

    def at(self, lat: float, lon: float) -> Point:
        """The point of a position in degrees."""
        return ((lon - self.lon + 180.0) % 360.0 - 180.0) * self._east, (lat - self.lat) * self._north

    def degrees(self, point: Point) -> tuple[float, float]:
        """Latitude and longitude of a point."""
        return self.lat + point[1] / self._north, self.lon + point[0] / self._east


def between_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Metres between two positions (latitude, longitude)."""
    return math.hypot(*Plane(*a).at(*b))


def to_segment_m(p: Point, a: Point, b: Point) -> float:
    """From a point to the nearest place of the segment a-b."""
    along = (b[0] - a[0], b[1] - a[1])
    length2 = along[0] ** 2 + along[1] ** 2
    t = 0.0 if length2 == 0 else ((p[0] - a[0]) * along[0] + (p[1] - a[1]) * along[1]) / length2
    t = min(max(t, 0.0), 1.0)
    return math.hypot(p[0] - a[0] - t * along[0], p[1] - a[1] - t * along[1])


def inside_ring(p: Point, ring: Sequence[Point]) -> bool:
    """Whether a point lies in a closed ring (even-odd rule; the last point need not repeat the first)."""
    found = False
    for (ax, ay), (bx, by) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if (ay > p[1]) != (by > p[1]) and p[0] < (bx - ax) * (p[1] - ay) / (by - ay) + ax:
            found = not found
    return found


def crosses_itself(ring: Sequence[Point]) -> bool:
    """Whether two edges that do not follow each other meet."""
    edges = list(zip(ring, [*ring[1:], ring[0]], strict=True))
    last = len(edges) - 1
    for i, (a, b) in enumerate(edges):
        for j in range(i + 2, len(edges)):
            if (i, j) != (0, last) and _meet(a, b, *edges[j]):
                return True
    return False


def area_m2(ring: Sequence[Point]) -> float:
    """Area of a ring by the shoelace formula."""
    pairs = zip(ring, [*ring[1:], ring[0]], strict=True)
    return abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairs)) / 2


def turn(a: Point, b: Point, c: Point) -> float:
    """Change of heading at b on the way a-b-c, in radians; left is positive."""
    first = math.atan2(b[1] - a[1], b[0] - a[0])
    second = math.atan2(c[1] - b[1], c[0] - b[0])
    return (second - first + math.pi) % (2 * math.pi) - math.pi


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, p: Point) -> float:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
