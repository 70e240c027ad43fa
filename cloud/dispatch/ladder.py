"""Escalation of incidents nobody has claimed: a ladder of steps from the configuration, the last one repeated."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from cloud.context import Work
from cloud.db.schema import contacts, homes, users
from cloud.incidents import store
from cloud.incidents.actions import resident_name
from cloud.incidents.events import record
from cloud.incidents.states import State
from cloud.incidents.timers import TimerKind, schedule
from cloud.notify.outbox import access_code, already_told, enqueue
from cloud.notify.texts import clock_text, kind_text
from protocols.wire import AlarmKind

_LAST_RESORT = "supervisors"


async def climb(work: Work, timer: dict[str, Any]) -> None:
    """Run the step of a ladder timer and arm the next; does nothing if somebody holds the incident meanwhile."""
    incident = await store.load(work, timer["incident_id"])
    if incident["claimed_by"] is not None or incident["state"] == State.CLOSED:
        return
    config = work.context.config.dispatch
    steps = config.ladders.get(incident["priority"], ())
    step, since = int(timer["data"]["step"]), float(timer["data"]["since"])
    tell = steps[min(step, len(steps) - 1)].tell if steps else _LAST_RESORT
    quiet = incident["kind"] == AlarmKind.UNUSUAL  # a notice: it is there for whoever looks
    told = [] if quiet else await _tell(work, incident, tell)
    if told:
        await record(work, incident["id"], "escalated", "system", step=step, tell=tell, told=told)
    elif not quiet and (step < len(steps) or step == 0):
        await record(work, incident["id"], "nobody_to_tell", "system", step=step, tell=tell)
    if told or (step == 0 and not quiet):
        await store.change(work, incident)
    following = step + 1
    due = since + steps[following].after_s if following < len(steps) else work.now + config.repeat_s
    data = {"step": following, "since": since}
    await schedule(work, TimerKind.LADDER, max(due, work.now), incident_id=incident["id"], data=data)


async def _tell(work: Work, incident: dict[str, Any], tell: str) -> list[str]:
    """Write the messages of one step; returns the names of who will get one."""
    if incident["class"] != "life" and tell != _LAST_RESORT:
        return []
    if tell == _LAST_RESORT:
        return await _tell_supervisors(work, incident)
    return await _tell_contacts(work, incident, only_next=tell == "next_contact")


async def _tell_contacts(work: Work, incident: dict[str, Any], *, only_next: bool) -> list[str]:
    told = await already_told(work, incident["id"], "contact_alarm")
    rows = await work.all(
        select(contacts).where(contacts.c.home_id == incident["home_id"]).order_by(contacts.c.position, contacts.c.id)
    )
    fresh = [row for row in rows if f"contact:{row['id']}" not in told]
    name = await resident_name(work, incident["home_id"])
    for row in fresh[:1] if only_next else fresh:
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
    return [row["name"] for row in (fresh[:1] if only_next else fresh)]


async def _tell_supervisors(work: Work, incident: dict[str, Any]) -> list[str]:
    rows = await work.all(
        select(users)
        .where(users.c.role == "supervisor", users.c.phone != "", users.c.disabled_at.is_(None))
        .order_by(users.c.id)
    )
    home = await work.one(select(homes.c.address).where(homes.c.id == incident["home_id"]))
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
