"""A device whose alarms operators keep closing as false is reported as such; it stays in use."""

from __future__ import annotations

from typing import Any

from sqlalchemy import distinct, func, select

from cloud.context import Work
from cloud.db.schema import alarms, incidents
from cloud.incidents.states import Outcome
from cloud.incidents.technical import open_technical
from protocols.faults import cause

CAUSE = "alarms_often_false"
"""Not the home's own fault `sensor_cries_often`: that one ends with the home's next status, this one when somebody has
looked.
"""
CRIES, WITHIN_S = 4, 7 * 86_400.0
"""So many incidents closed as false within a week. Own choice: the home itself reports four answered ones in a day."""
_NO_DEVICE = (None, "gateway", "button", "home")
"""Who may have raised an alarm and is no device that somebody could look at."""


async def report_criers(work: Work, incident: dict[str, Any]) -> None:
    """Look at the devices of an incident that has just been closed as false."""
    own = await work.all(select(alarms.c.device).where(alarms.c.incident_id == incident["id"]).distinct())
    for device in sorted(row["device"] for row in own if row["device"] not in _NO_DEVICE):
        false = await work.connection.scalar(
            select(func.count(distinct(incidents.c.id)))
            .select_from(alarms.join(incidents, alarms.c.incident_id == incidents.c.id))
            .where(
                alarms.c.home_id == incident["home_id"],
                alarms.c.device == device,
                incidents.c["class"] == "life",
                incidents.c.outcome == Outcome.FALSE_ALARM,
                incidents.c.closed_at > work.now - WITHIN_S,
            )
        )
        if (false or 0) >= CRIES:
            await open_technical(work, incident["home_id"], cause(CAUSE, device), "system")
