"""Fences: circles and polygons within which a resident is safe, at all hours or by day or night."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edge.detectors.location.geometry import Plane, Point, area_m2, crosses_itself, inside_ring, to_segment_m

When = Literal["always", "day", "night"]
LatLon = tuple[float, float]

RADIUS_M = (10.0, 200_000.0)
MOST_POINTS = 500
LEAST_AREA_M2 = 100.0


@dataclass(frozen=True, slots=True)
class Fence:
    """`beyond_m(lat, lon)` is how far a WGS-84 position lies outside; negative: how deep inside."""

    name: str
    when: When
    beyond_m: Callable[[float, float], float]


def beyond_m(fences: Iterable[Fence], lat: float, lon: float, *, night: bool) -> float | None:
    """How far outside the nearest fence that holds by day or night; None when none holds."""
    hour = "night" if night else "day"
    return min((f.beyond_m(lat, lon) for f in fences if f.when in ("always", hour)), default=None)


def circle(name: str, lat: float, lon: float, radius_m: float, when: When = "always") -> Fence:
    """A fence of a centre in degrees and a radius. Raises ValueError naming the fence and what is wrong."""
    _check(name, (lat, lon))
    if not (math.isfinite(radius_m) and RADIUS_M[0] <= radius_m <= RADIUS_M[1]):
        raise ValueError(f"fence {name}: radius_m is {RADIUS_M[0]:g} to {RADIUS_M[1]:g}, got {radius_m:g}")
    plane = Plane(lat, lon)
    return Fence(name, when, lambda a, b: math.hypot(*plane.at(a, b)) - radius_m)


def polygon(name: str, rings: Sequence[Sequence[LatLon]], when: When = "always") -> Fence:
    """A fence of an outer ring and holes, (latitude, longitude) in degrees. Raises ValueError."""
    if not rings:
        raise ValueError(f"fence {name}: a polygon wants a ring of at least three points")
    for position in (p for ring in rings for p in ring):
        _check(name, position)
    if sum(map(len, rings)) > MOST_POINTS:
        raise ValueError(f"fence {name}: at most {MOST_POINTS} points")
    plane = Plane(*(rings[0][0] if rings[0] else (0.0, 0.0)))
    flat = [_ring(name, [plane.at(*p) for p in ring]) for ring in rings]
    edges = [edge for ring in flat for edge in zip(ring, [*ring[1:], ring[0]], strict=True)]

    def beyond_m(lat: float, lon: float) -> float:
        p = plane.at(lat, lon)
        away = min(to_segment_m(p, a, b) for a, b in edges)
        inside = inside_ring(p, flat[0]) and not any(inside_ring(p, hole) for hole in flat[1:])
        return -away if inside else away

    return Fence(name, when, beyond_m)


def from_geojson(name: str, text: str, when: When = "always") -> list[Fence]:
    """The fences of a GeoJSON text (RFC 7946: longitude first, WGS-84): Polygon, MultiPolygon, Features of them.

    Raises ValueError.
    """
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"fence {name}: no JSON ({error})") from None
    polygons = list(_polygons(name, value, 0))
    if not polygons:
        raise ValueError(f"fence {name}: there is no Polygon or MultiPolygon in it")
    numbered = (name if len(polygons) == 1 else f"{name}-{i + 1}" for i in range(len(polygons)))
    return [polygon(one, rings, when) for one, rings in zip(numbered, polygons, strict=True)]


def _polygons(name: str, value: Any, depth: int) -> Iterable[list[list[LatLon]]]:
    kind = value.get("type") if isinstance(value, dict) and depth < 8 else None
    try:
        if kind == "FeatureCollection":
            for feature in value["features"]:
                yield from _polygons(name, feature, depth + 1)
        elif kind == "GeometryCollection":
            for geometry in value["geometries"]:
                yield from _polygons(name, geometry, depth + 1)
        elif kind == "Feature":
            yield from _polygons(name, value["geometry"], depth + 1)
        elif kind in ("Polygon", "MultiPolygon"):
            several = [value["coordinates"]] if kind == "Polygon" else value["coordinates"]
            for rings in several:
                yield [[(float(p[1]), float(p[0])) for p in ring] for ring in rings]
        elif kind is None:
            raise ValueError(f"fence {name}: not GeoJSON")
    except (KeyError, TypeError, IndexError):
        raise ValueError(f"fence {name}: not GeoJSON: {kind} has not the members it must have") from None


def _check(name: str, position: LatLon) -> None:
    lat, lon = position
    if not (math.isfinite(lat) and math.isfinite(lon) and -90 <= lat <= 90 and -180 <= lon <= 180):
        swapped = " (latitude comes first)" if -90 <= lon <= 90 and -180 <= lat <= 180 else ""
        raise ValueError(f"fence {name}: {lat:g}, {lon:g} is no latitude and longitude in degrees{swapped}")


def _ring(name: str, points: list[Point]) -> list[Point]:
    if len(points) > 1 and points[0] == points[-1]:
        points = points[:-1]
    if len(points) < 3:
        raise ValueError(f"fence {name}: a polygon wants at least three points, got {len(points)}")
    if max(math.hypot(*p) for p in points) > RADIUS_M[1]:
        raise ValueError(f"fence {name}: wider than {RADIUS_M[1] / 1000:g} km")
    if crosses_itself(points):
        raise ValueError(f"fence {name}: its edges cross each other")
    if area_m2(points) < LEAST_AREA_M2:
        raise ValueError(f"fence {name}: less than {LEAST_AREA_M2:g} square metres")
    return points
