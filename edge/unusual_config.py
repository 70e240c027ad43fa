"""The part of the configuration that names numbers without a rule, which are watched for being unlike their past."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from edge.detectors.facade import Listed
from edge.detectors.unusual import MOST_SERIES, UnusualDetector, Watched
from edge.readings import Device
from edge.sections import Identifier, Section
from protocols.metrics import METRICS, Measurement, Type


class SeriesSection(Section):
    """One series: a metric of a device."""

    device: Identifier
    metric: str

    @field_validator("metric")
    @classmethod
    def _a_number(cls, name: str) -> str:
        known = METRICS.get(name)
        if known is None or known.type is not Type.NUMBER or known.measurement is Measurement.LOCATION:
            raise ValueError(f"{name!r} is no metric whose values are numbers in a row")
        return name


class UnusualSection(Section):
    """Off unless a series is named or `without_rule` is set."""

    series: Annotated[tuple[SeriesSection, ...], Field(max_length=MOST_SERIES)] = ()
    without_rule: bool = False
    """Every number that no other detector judges, in the order heard, as far as there is room."""
    notices_per_day: Annotated[int, Field(ge=1, le=24)] = 3

    @model_validator(mode="after")
    def _once(self) -> Self:
        keys = [(one.device, one.metric) for one in self.series]
        for device, metric in keys:
            if keys.count((device, metric)) > 1:
                raise ValueError(f"series: {metric} of {device} is listed twice")
        return self

    def detectors(self, devices: Sequence[Device]) -> list[Listed]:
        """What watches them; raises ValueError for a series of a device that is not there."""
        known = {device.id for device in devices}
        for one in self.series:
            if one.device not in known:
                raise ValueError(f"unusual.series: there is no device {one.device}")
        if not self.series and not self.without_rule:
            return []
        keys = tuple((one.device, one.metric) for one in self.series)
        watched = Watched(keys, self.without_rule, self.notices_per_day)
        return [Listed("unusual", partial(UnusualDetector, tuple(devices), watched))]
