"""Which sub-district an incident concerns: its home's; an outage, which belongs to the platform's home, its area's."""

from __future__ import annotations

from sqlalchemy import ColumnElement, or_, select

from cloud.db.schema import homes, incidents

_OUTAGE = "area_outage:"


def outage_cause(area: str) -> str:
    """The cause of the incident of a whole area that is offline."""
    return f"{_OUTAGE}{area}"


def area_of(sub_district: str, cause: str) -> str | None:
    """The area of an incident by its home's sub-district ("" of the platform) and its cause; None: it concerns all."""
    if cause.startswith(_OUTAGE):
        return cause.removeprefix(_OUTAGE)
    return sub_district or None


def concerning(area: str) -> ColumnElement[bool]:
    """Incidents that concern an area, as `area_of` has it, or all."""
    of_homes = incidents.c.home_id.in_(select(homes.c.id).where(homes.c.sub_district.in_((area, ""))))
    return of_homes & or_(incidents.c.cause == outage_cause(area), incidents.c.cause.not_like(f"{_OUTAGE}%"))
