"""Escalation of incidents nobody has claimed: a ladder of steps from the configuration, the last one repeated.

A ladder begins anew when an incident comes back to the queue. Contacts are told once only, so its steps may find that
everybody has been told: the log says so, and names them. Only where somebody should be told and nobody can be does it
say that nobody was, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from cloud.context import Work
from cloud.db.schema import contacts, homes, users
from cloud.incidents import store
from cloud.incidents.actions import resident_name
from cloud.incidents.areas import area_of
from cloud.incidents.events import record
from cloud.incidents.states import State
from cloud.incidents.timers import TimerKind, schedule
from cloud.notify.outbox import access_code, enqueue, told_before
from cloud.notify.texts import clock_text, kind_text
from protocols.wire import AlarmKind

_LAST_RESORT = "supervisors"


class Shortfall(StrEnum):
    """Why a step told nobody, and nobody had been told before."""

    NO_CONTACTS = "no_contacts"
    NO_SUPERVISORS = "no_supervisors"
    NOT_DELIVERED = "not_delivered"


@dataclass(frozen=True, slots=True)
class _Told:
    """What a step came to, by names; `before`: told by an earlier step, and it has not failed."""

    now: list[str]
    before: list[str]
    shortfall: Shortfall


async def climb(work: Work, timer: dict[str, Any]) -> None:
    """Run the step of a ladder timer and arm the next; does nothing if somebody holds the incident meanwhile."""
    incident = await store.load(work, timer["incident_id"])
    if incident["claimed_by"] is not None or incident["state"] == State.CLOSED:
        return
    config = work.context.config.dispatch
    steps = config.ladders.get(incident["priority"], ())
    step, since = int(timer["data"]["step"]), float(timer["data"]["since"])
    tell = steps[min(step, len(steps) - 1)].tell if steps else _LAST_RESORT
    if _concerns(incident, tell):
        told = await _tell(work, incident, tell)
        if told.now or step < len(steps) or step == 0:
            await _log(work, incident["id"], told, step=step, tell=tell)
        if told.now or step == 0:
            await store.change(work, incident)
    following = step + 1
    due = since + steps[following].after_s if following < len(steps) else work.now + config.repeat_s
    data = {"step": following, "since": since}
    await schedule(work, TimerKind.LADDER, max(due, work.now), incident_id=incident["id"], data=data)


def _concerns(incident: dict[str, Any], tell: str) -> bool:
    """Whether a step is for this incident at all: families hear nothing of faults, and a notice of an unusual reading
    is there for whoever looks.
    """
    if incident["kind"] == AlarmKind.UNUSUAL:
        return False
    return incident["class"] == "life" or tell == _LAST_RESORT


async def _tell(work: Work, incident: dict[str, Any], tell: str) -> _Told:
    """Write the messages of one step."""
    if tell == _LAST_RESORT:
        return _Told(await _tell_supervisors(work, incident), [], Shortfall.NO_SUPERVISORS)
    return await _tell_contacts(work, incident, only_next=tell == "next_contact")


async def _log(work: Work, incident_id: str, told: _Told, **about: Any) -> None:
    """What a step came to, as an entry of the incident's log."""
    if told.now:
        await record(work, incident_id, "escalated", "system", **about, told=told.now)
    elif told.before:
        await record(work, incident_id, "already_told", "system", **about, told=told.before)
    else:
        await record(work, incident_id, "nobody_to_tell", "system", **about, reason=told.shortfall)


async def _tell_contacts(work: Work, incident: dict[str, Any], *, only_next: bool) -> _Told:
    known = await told_before(work, incident["id"], "contact_alarm")
    rows = await work.all(
        select(contacts).where(contacts.c.home_id == incident["home_id"]).order_by(contacts.c.position, contacts.c.id)
    )
    fresh = [row for row in rows if f"contact:{row['id']}" not in known]
    fresh = fresh[:1] if only_next else fresh
    name = await resident_name(work, incident["home_id"])
    for row in fresh:
        lang = row["lang"]
        params = {
            "name": name,
            "kind": kind_text(incident["kind"], lang),
            "time": clock_text(incident["opened_at"]),
            "url": f"{work.context.config.notify.public_url}/s",
            "code": await access_code(work, incident["id"], "contact_id", row["id"]),
        }
        await enqueue(
            work,
            recipient=f"contact:{row['id']}",
            phone=row["phone"],
            lang=lang,
            template="contact_alarm",
            params=params,
            incident_id=incident["id"],
        )
    before = [row["name"] for row in rows if known.get(f"contact:{row['id']}")]
    shortfall = Shortfall.NOT_DELIVERED if rows else Shortfall.NO_CONTACTS
    return _Told([row["name"] for row in fresh], before, shortfall)


async def _tell_supervisors(work: Work, incident: dict[str, Any]) -> list[str]:
    """Those of the incident's sub-district and of the whole district. Where there are none, or every message to them
    has failed, all: somebody must hear.
    """
    rows = await work.all(
        select(users)
        .where(users.c.role == "supervisor", users.c.phone != "", users.c.disabled_at.is_(None))
        .order_by(users.c.id)
    )
    home = await work.one(select(homes.c.address, homes.c.sub_district).where(homes.c.id == incident["home_id"]))
    area = area_of(home["sub_district"] if home else "", incident["cause"])
    known = await told_before(work, incident["id"], "supervisor_alarm")
    of_area = [row for row in rows if row["sub_district"] in (None, area)]
    if any(known.get(f"user:{row['id']}", True) for row in of_area):
        rows = of_area
    name = await resident_name(work, incident["home_id"])
    for row in rows:
        params = {
            "name": name,
            "kind": kind_text(incident["kind"], row["lang"]),
            "minutes": str(max(1, round((work.now - incident["opened_at"]) / 60))),
            "address": home["address"] if home else "",
        }
        await enqueue(
            work,
            recipient=f"user:{row['id']}",
            phone=row["phone"],
            lang=row["lang"],
            template="supervisor_alarm",
            params=params,
            incident_id=incident["id"],
        )
    return [row["name"] for row in rows]
