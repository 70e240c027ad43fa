"""Technical incidents: one open per home and cause; one that mends itself before anybody looked closes itself. What is
unusual without anybody knowing whether it matters is among them: nobody is rung, and no responder is sent.
"""

from __future__ import annotations

from sqlalchemy import update

from cloud.context import Work
from cloud.db.schema import timers as timers_table
from cloud.incidents import store
from cloud.incidents.events import record
from cloud.incidents.states import Outcome, State, Step


async def open_technical(
    work: Work, home_id: str, cause: str, actor: str, priority: str = "low", kind: str = "technical"
) -> bool:
    """Open one unless it is open; True if it is new."""
    known = await store.open_in_home(work, home_id, "technical", cause)
    if known is not None:
        if known["condition_cleared_at"] is not None:
            await store.change(work, known, condition_cleared_at=None)
            await record(work, known["id"], "recurred", actor, cause=cause)
        return False
    await store.create(
        work, home_id=home_id, kind_class="technical", kind=kind, priority=priority, cause=cause, actor=actor
    )
    return True


async def clear_technical(work: Work, home_id: str, cause: str, actor: str) -> bool:
    """The cause is gone: close the incident if nobody works on it, else mark it; False if there was none."""
    incident = await store.open_in_home(work, home_id, "technical", cause)
    if incident is None or incident["condition_cleared_at"] is not None:
        return False
    values: dict[str, object] = {"condition_cleared_at": work.now}
    if incident["state"] == State.NEW:
        values |= {
            "state": store.after(incident, Step.CLEAR),
            "outcome": Outcome.TECHNICAL_FIXED,
            "closed_at": work.now,
        }
        await work.run(
            update(timers_table)
            .where(timers_table.c.incident_id == incident["id"], timers_table.c.state == "waiting")
            .values(state="cancelled", done_at=work.now)
        )
    await store.change(work, incident, **values)
    await record(work, incident["id"], "cleared", actor, cause=cause)
    return True
