"""The part of the configuration that says where the resident is safe, and when it is night."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from functools import partial
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from edge.detectors.facade import Listed
from edge.detectors.location import gcj02
from edge.detectors.location.departure import DepartureDetector
from edge.detectors.location.fences import Fence, circle, polygon
from edge.detectors.location.geofence import GeofenceDetector
from edge.detectors.location.hours import Hours
from edge.detectors.location.wandering import WanderingDetector
from edge.readings import Device, DeviceRole
from edge.sections import Identifier, Section

LatLon = tuple[Annotated[float, Field(allow_inf_nan=False)], Annotated[float, Field(allow_inf_nan=False)]]


class FenceSection(Section):
    """A circle (lat, lon, radius_m) or a polygon ([[lat, lon], …]); degrees, WGS-84 unless said otherwise."""

    name: Identifier
    lat: Annotated[float, Field(allow_inf_nan=False)] | None = None
    lon: Annotated[float, Field(allow_inf_nan=False)] | None = None
    radius_m: Annotated[float, Field(allow_inf_nan=False)] | None = None
    polygon: tuple[LatLon, ...] | None = None
    when: Literal["always", "day", "night"] = "always"
    coordinates: Literal["wgs84", "gcj02"] = "wgs84"
    """Points picked on a Chinese map are gcj02; they are stored as WGS-84."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        self.fence()
        return self

    def fence(self) -> Fence:
        """As the detector wants it. Raises ValueError."""
        if self.polygon is not None:
            if (self.lat, self.lon, self.radius_m) != (None, None, None):
                raise ValueError(f"fence {self.name}: a circle or a polygon, not both")
            return polygon(self.name, [[self._stored(*p) for p in self.polygon]], self.when)
        if self.lat is None or self.lon is None or self.radius_m is None:
            raise ValueError(f"fence {self.name}: wants lat, lon and radius_m, or a polygon")
        return circle(self.name, *self._stored(self.lat, self.lon), self.radius_m, self.when)

    def _stored(self, lat: float, lon: float) -> tuple[float, float]:
        return gcj02.to_wgs84(lat, lon) if self.coordinates == "gcj02" else (lat, lon)


class LocationSection(Section):
    """Fences, wandering and the outside door."""

    fences: Annotated[tuple[FenceSection, ...], Field(max_length=32)] = ()
    wandering: Literal["off", "outside", "always"] = "outside"
    """Where a walk without a goal is an alarm by day; at night it is one everywhere unless off."""
    doors: tuple[Identifier, ...] = ()
    """Devices that are outside doors, where their names and rooms do not say so."""
    watch_door: bool = True
    night_begins: time = time(22)
    night_ends: time = time(6)

    @model_validator(mode="after")
    def _unique(self) -> Self:
        names = [f.name for f in self.fences]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"fences: {name} is listed twice")
        return self

    def hours(self, time_zone: str) -> Hours:
        """Day and night in the home's time zone."""
        return Hours(ZoneInfo(time_zone), self.night_begins, self.night_ends)

    def detectors(self, devices: Sequence[Device], time_zone: str) -> list[Listed]:
        """What a home with these devices needs."""
        hours = self.hours(time_zone)
        fences = tuple(section.fence() for section in self.fences)
        listed: list[Listed] = []
        for device in devices:
            if device.role is DeviceRole.GPS or device.source == "owntracks" or device.role is DeviceRole.WEARABLE:
                listed += position_detectors(device.id, fences, hours, self.wandering)
        if self.watch_door:
            listed.append(Listed("departure", partial(DepartureDetector, devices, hours, self.doors)))
        return listed


def position_detectors(
    device: str, fences: tuple[Fence, ...], hours: Hours, wandering: Literal["off", "outside", "always"]
) -> list[Listed]:
    """The detectors of one device that knows where it is."""
    listed = [Listed("wandering", partial(WanderingDetector, device, wandering, hours, fences), device)]
    if fences:
        listed.append(Listed("geofence", partial(GeofenceDetector, device, fences, hours), device))
    return listed
