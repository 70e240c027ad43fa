"""The part of the configuration that concerns dangers of the home itself: its climate and the stove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Self

from pydantic import Field, model_validator

from edge.detectors.facade import Listed
from edge.detectors.home.carbon_monoxide import CarbonMonoxideDetector
from edge.detectors.home.climate import COLD, HEAT, ClimateDetector, Level
from edge.detectors.home.radar import RadarFallDetector
from edge.detectors.home.stove import StoveDetector, StoveLimits
from edge.readings import Device, DeviceRole
from edge.sections import Identifier, Positive, Section

_STOVE = StoveLimits()
Celsius = Annotated[float, Field(ge=-20, le=70, allow_inf_nan=False)]


class ClimateSection(Section):
    """Limits in degrees Celsius for a low, medium and high alarm; heat is the heat index. Unset: as published."""

    heat_c: tuple[Celsius, Celsius, Celsius] = (HEAT[0].limit_c, HEAT[1].limit_c, HEAT[2].limit_c)
    cold_c: tuple[Celsius, Celsius, Celsius] = (COLD[0].limit_c, COLD[1].limit_c, COLD[2].limit_c)
    ignore: tuple[Identifier, ...] = ()
    """Climate sensors that are in no room: refrigerator, balcony."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if list(self.heat_c) != sorted(self.heat_c):
            raise ValueError("heat_c: low, medium and high must ascend")
        if list(self.cold_c) != sorted(self.cold_c, reverse=True):
            raise ValueError("cold_c: low, medium and high must descend")
        if self.cold_c[0] >= self.heat_c[0]:
            raise ValueError("cold_c must be below heat_c")
        return self

    def levels(self) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Heat and cold as the detector wants them."""
        heat = tuple(replace(level, limit_c=limit) for level, limit in zip(HEAT, self.heat_c, strict=True))
        cold = tuple(replace(level, limit_c=limit) for level, limit in zip(COLD, self.cold_c, strict=True))
        return heat, cold


class StoveSection(Section):
    """When a stove is on (watts or degrees Celsius), and how long it may be alone."""

    on_w: Positive = _STOVE.on_w
    off_w: Positive = _STOVE.off_w
    on_c: Celsius = _STOVE.on_c
    off_c: Celsius = _STOVE.off_c
    alone_s: Annotated[float, Field(ge=60, le=7200)] = _STOVE.alone_s

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.off_w > self.on_w or self.off_c > self.on_c:
            raise ValueError("a stove is off below what it is on at: off_w <= on_w and off_c <= on_c")
        return self


def hazard_detectors(devices: Sequence[Device], climate: ClimateSection, stove: StoveSection) -> list[Listed]:
    """What a home with these devices needs."""
    heat, cold = climate.levels()
    listed = [
        Listed("radar", partial(RadarFallDetector, devices)),
        Listed("carbon_monoxide", partial(CarbonMonoxideDetector, devices)),
    ]
    if any(d.role is DeviceRole.CLIMATE for d in devices):
        listed.append(Listed("climate", partial(ClimateDetector, devices, heat, cold, climate.ignore)))
    if any(d.role is DeviceRole.STOVE for d in devices):
        listed.append(Listed("stove", partial(StoveDetector, devices, StoveLimits(**stove.model_dump()))))
    return listed
