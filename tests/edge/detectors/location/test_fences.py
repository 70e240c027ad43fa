"""Fences: shapes, coordinates, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import ConfigError, load
from edge.detectors.location import gcj02
from edge.detectors.location.fences import circle, from_geojson, polygon
from edge.detectors.location.geometry import Plane, between_m

_SQUARE = [(22.54, 114.05), (22.54, 114.06), (22.55, 114.06), (22.55, 114.05)]
_BASE = '[gateway]\nid = "gw-1"\n[cloud_broker]\nhost = "x"\n[[devices]]\nid = "phone-1"\nrole = "gps"\n'


def test_circle() -> None:
    """Beyond is measured from the edge: one thousandth of a degree north is 110.8 m here."""
    fence = circle("home", 22.5431, 114.0579, 100.0)
    assert fence.beyond_m(22.5431, 114.0579) == -100.0
    assert fence.beyond_m(22.5441, 114.0579) == pytest.approx(10.75, abs=0.1)


def test_plane_crosses_the_date_line() -> None:
    """Two positions on both sides of 180 degrees are near each other."""
    assert between_m((10.0, 179.999), (10.0, -179.999)) == pytest.approx(219.3, abs=0.5)


@pytest.mark.parametrize("lat", [0.0, 22.54, 45.0, 60.0, 89.0])
def test_a_degree_is_as_long_as_on_the_ellipsoid(lat: float) -> None:
    """The series against the radii of curvature of WGS-84 (a = 6378137 m, f = 1/298.257223563), to 4 cm a degree."""
    phi, squared = math.radians(lat), (2 - 1 / 298.257223563) / 298.257223563
    bulge = 1 - squared * math.sin(phi) ** 2
    meridian, normal = 6378137 * (1 - squared) / bulge**1.5, 6378137 / math.sqrt(bulge)
    east, north = Plane(lat, 114.0).at(lat + 1, 115.0)
    assert north == pytest.approx(math.radians(meridian), abs=0.04)
    assert east == pytest.approx(math.radians(normal * math.cos(phi)), abs=0.04)


def test_polygon_with_a_hole() -> None:
    """Inside is negative, in a hole and outside positive."""
    hole = [(22.543, 114.053), (22.543, 114.056), (22.546, 114.056), (22.546, 114.053)]
    fence = polygon("area", [_SQUARE, hole])
    assert fence.beyond_m(22.541, 114.051) < 0 < fence.beyond_m(22.5445, 114.0545)
    assert fence.beyond_m(22.56, 114.055) == pytest.approx(1107, abs=2)


@given(st.floats(22.40, 22.70), st.floats(113.9, 114.2))
def test_polygon_agrees_with_its_circle(lat: float, lon: float) -> None:
    """A polygon of 180 corners on a circle says what the circle says, to a metre."""
    from math import cos, pi, sin

    plane = Plane(22.5431, 114.0579)
    ring = [plane.degrees((500 * cos(2 * pi * i / 180), 500 * sin(2 * pi * i / 180))) for i in range(180)]
    away = polygon("p", [ring]).beyond_m(lat, lon) - circle("c", 22.5431, 114.0579, 500.0).beyond_m(lat, lon)
    assert abs(away) < 1 + 0.001 * between_m((lat, lon), (22.5431, 114.0579))


@pytest.mark.parametrize(
    ("rings", "words"),
    [
        ([], "three points"),
        ([_SQUARE[:2]], "three points"),
        ([[_SQUARE[0], _SQUARE[2], _SQUARE[1], _SQUARE[3]]], "cross"),
        ([[(114.05, 22.5), (114.06, 22.5), (114.06, 22.6)]], "latitude comes first"),
        ([[(22.54, 114.05), (22.54, 114.050001), (22.540001, 114.05)]], "square metres"),
        ([[(22.54, 114.05), (28.54, 114.05), (22.54, 118.05)]], "wider than"),
        ([[(float("nan"), 114.05), *_SQUARE]], "no latitude"),
    ],
)
def test_impossible_polygons_are_refused(rings: list[list[tuple[float, float]]], words: str) -> None:
    """The error names the fence and what is wrong."""
    with pytest.raises(ValueError, match=f"fence area: .*{words}"):
        polygon("area", rings)


def test_geojson_of_every_shape() -> None:
    """Longitude comes first there; several polygons are several fences."""
    ring = [[lon, lat] for lat, lon in [*_SQUARE, _SQUARE[0]]]
    one = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "properties": {}, "geometry": one}
    two = {"type": "FeatureCollection", "features": [feature, {**feature, "geometry": one}]}
    assert [f.name for f in from_geojson("a", json.dumps(two))] == ["a-1", "a-2"]
    assert from_geojson("a", json.dumps(one))[0].beyond_m(22.545, 114.055) < 0
    for wrong in ("{", "[]", '{"type": "Point", "coordinates": [1, 2]}', '{"type": "Polygon"}', '{"type": "Feature"}'):
        with pytest.raises(ValueError, match="fence a"):
            from_geojson("a", wrong)


def test_gcj02_vector() -> None:
    """The published test vector, and its inverse to a centimetre."""
    found = gcj02.from_wgs84(22.543847, 113.912316)
    assert found == pytest.approx((22.540796131694766, 113.9171764808363), abs=1e-12)
    assert between_m(gcj02.to_wgs84(*found), (22.543847, 113.912316)) < 0.01


@pytest.mark.parametrize("position", [(22.3193, 114.1694), (22.4950, 114.1280), (22.1600, 113.5600), (48.1, 11.6)])
def test_no_shift_outside_mainland_china(position: tuple[float, float]) -> None:
    """Hong Kong, which Futian borders, Macau and the rest of the world are not shifted."""
    assert gcj02.from_wgs84(*position) == position == gcj02.to_wgs84(*position)


def test_futian_is_shifted() -> None:
    """Some 600 m, up to the river."""
    for position in ((22.5431, 114.0579), (22.5205, 114.0570)):
        assert 400 < between_m(position, gcj02.from_wgs84(*position)) < 800


def test_configuration(tmp_path: Path) -> None:
    """A home with fences lists its detectors; a fence from a Chinese map is stored as WGS-84."""
    path = tmp_path / "gateway.toml"
    section = '[[location.fences]]\nname = "home"\nlat = 22.5403\nlon = 114.0630\nradius_m = 300\n'
    path.write_text(_BASE + section + 'coordinates = "gcj02"\n', encoding="utf-8")
    config = load(path)
    fence = config.location.fences[0].fence()
    assert fence.beyond_m(*gcj02.to_wgs84(22.5403, 114.0630)) == pytest.approx(-300, abs=0.1)
    assert {listed.key for listed in config.own_detectors()} >= {"geofence/phone-1", "wandering/phone-1", "departure"}


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ('[[location.fences]]\nname = "a"\nlat = 22.5\nlon = 114.0\n', "fence a: wants lat, lon and radius_m"),
        ('[[location.fences]]\nname = "a"\nlat = 122.5\nlon = 14.0\nradius_m = 100\n', "latitude comes first"),
        ('[[location.fences]]\nname = "a"\nlat = 22.5\nlon = 114.0\nradius_m = 1\n', "radius_m is 10 to"),
        ('[[location.fences]]\nname = "a"\npolygon = [[22.5, 114.0], [22.6, 114.0]]\n', "three points"),
        ("[location]\nnight = 3\n", "location.night"),
        ('[location]\ndoors = ["gone"]\n', "there is no device gone"),
    ],
)
def test_wrong_configuration_is_named(tmp_path: Path, section: str, words: str) -> None:
    """One clear line for each mistake."""
    path = tmp_path / "gateway.toml"
    path.write_text(_BASE + section, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        load(path)
