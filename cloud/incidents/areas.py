"""Which sub-district an incident concerns: its home's; an outage, which belongs to the platform's home, its area's."""

from __future__ import annotations

from sqlalchemy import ColumnElement, or_, select

from cloud.db.schema import homes, incidents

_OUTAGE = "area_outage:"


def outage_cause(area: str) -> str:
    """The cause of the incident of a whole area that is offline."""
    return f"{_OUTAGE}{area}"


def area_of(sub_district: str, cause: str) -> str | None:
    """The area of an incident by its home's sub-district ("" of the platform) and its cause; None: it concerns all.

    Only the platform tells of outages: of a home, the cause is what its gateway says, and moves it nowhere.
    """
    if sub_district:
        return sub_district
    return cause.removeprefix(_OUTAGE) if cause.startswith(_OUTAGE) else None


def concerning(area: str) -> ColumnElement[bool]:
    """Incidents that concern an area, as `area_of` has it, or all."""
    own, platform = (incidents.c.home_id.in_(select(homes.c.id).where(homes.c.sub_district == of)) for of in (area, ""))
    elsewhere = incidents.c.cause.startswith(_OUTAGE, autoescape=True) & (incidents.c.cause != outage_cause(area))
    return or_(own, platform & ~elsewhere)
