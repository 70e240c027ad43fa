"""Loading and changing one incident inside a transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from cloud.context import Work
from cloud.db.schema import incidents
from cloud.incidents import timers
from cloud.incidents.events import record
from cloud.incidents.states import TRANSITIONS, State, Step
from cloud.incidents.timers import TimerKind


class NotFoundError(LookupError):
    """There is no such incident, or the asker may not know of it."""


class NotAllowedError(Exception):
    """The incident's state, or its owner, does not permit this."""


class VersionConflictError(Exception):
    """Somebody else changed the incident since it was read."""


class ClaimedByOtherError(NotAllowedError):
    """Another operator holds the incident."""


async def load(work: Work, incident_id: str, version: int | None = None) -> dict[str, Any]:
    """The incident, locked until the transaction ends. Raises NotFoundError, VersionConflictError."""
    row = await work.one(select(incidents).where(incidents.c.id == incident_id).with_for_update())
    if row is None:
        raise NotFoundError(f"there is no incident {incident_id[:64]}")
    if version is not None and row["version"] != version:
        raise VersionConflictError(f"the incident is at version {row['version']}, you have {version}")
    return row


async def open_in_home(work: Work, home_id: str, kind_class: str, cause: str = "") -> dict[str, Any] | None:
    """The open incident of this class (and cause) in a home, locked."""
    return await work.one(
        select(incidents)
        .where(
            incidents.c.home_id == home_id,
            incidents.c["class"] == kind_class,
            incidents.c.cause == cause,
            incidents.c.state != State.CLOSED,
        )
        .with_for_update()
    )


def after(incident: dict[str, Any], step: Step) -> State:
    """The state after `step`. Raises NotAllowedError."""
    state = State(incident["state"])
    target = TRANSITIONS.get((state, step))
    if target is None:
        raise NotAllowedError(f"{step} is not possible while the incident is {state}")
    return target


async def change(work: Work, incident: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Write `values`, counting the version up; returns the incident as it is now."""
    values |= {"version": incident["version"] + 1, "updated_at": work.now}
    await work.run(update(incidents).where(incidents.c.id == incident["id"]).values(**values))
    return incident | values


async def create(
    work: Work, *, home_id: str, kind_class: str, kind: str, priority: str, cause: str, actor: str, **data: Any
) -> dict[str, Any]:
    """Open an incident with its first event and its escalation."""
    row: dict[str, Any] = {
        "id": work.new_id(),
        "home_id": home_id,
        "class": kind_class,
        "kind": kind,
        "cause": cause,
        "priority": priority,
        "state": State.NEW,
        "version": 1,
        "opened_at": work.now,
        "updated_at": work.now,
    }
    await work.run(incidents.insert().values(**row))
    await record(work, row["id"], "opened", actor, kind=kind, cause=cause, **data)
    await timers.arm_ladder(work, row["id"], priority, since=work.now)
    loaded = await open_in_home(work, home_id, kind_class, cause)
    return loaded if loaded is not None else row


async def unclaim(work: Work, incident: dict[str, Any], state: State, kind: str, actor: str) -> dict[str, Any]:
    """Give an incident back to the queue and let it escalate again."""
    await timers.cancel(work, TimerKind.CLAIM_LEASE, incident_id=incident["id"])
    await timers.arm_ladder(work, incident["id"], incident["priority"], since=work.now)
    changed = await change(work, incident, state=state, claimed_by=None, claimed_at=None, claim_expires_at=None)
    await record(work, incident["id"], kind, actor)
    return changed
