"""What the console, the pages and the API read: incidents with the people and places around them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, select

from cloud.context import Work
from cloud.db.schema import (
    alarms,
    assignments,
    contacts,
    homes,
    incident_events,
    incidents,
    outbox,
    residents,
    responders,
    users,
)
from cloud.incidents.states import State
from protocols.wire import ToldWhat

_LIST_LIMIT = 500


async def list_incidents(
    work: Work, *, state: str | None = None, only: ColumnElement[bool] | None = None, limit: int = _LIST_LIMIT
) -> list[dict[str, Any]]:
    """Summaries, newest first. `state` is one of the states, or `open` for all but closed."""
    statement = select(incidents).order_by(incidents.c.opened_at.desc()).limit(limit)
    if state == "open":
        statement = statement.where(incidents.c.state != State.CLOSED)
    elif state is not None:
        statement = statement.where(incidents.c.state == state)
    if only is not None:
        statement = statement.where(only)
    return await _summaries(work, await work.all(statement))


async def summaries_of(work: Work, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Summaries by id."""
    rows = await work.all(select(incidents).where(incidents.c.id.in_(list(ids))))
    return {summary["id"]: summary for summary in await _summaries(work, rows)}


async def _summaries(work: Work, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    home_ids = {row["home_id"] for row in rows}
    places = {row["id"]: row for row in await work.all(select(homes).where(homes.c.id.in_(home_ids)))}
    people: dict[str, dict[str, Any]] = {}
    for row in await work.all(select(residents).where(residents.c.home_id.in_(home_ids)).order_by(residents.c.id)):
        people.setdefault(row["home_id"], row)
    owners = {
        row["id"]: {"id": row["id"], "name": row["name"]}
        for row in await work.all(
            select(users.c.id, users.c.name).where(users.c.id.in_({r["claimed_by"] for r in rows}))
        )
    }
    by_incident: dict[str, list[dict[str, Any]]] = {}
    columns = (alarms.c.incident_id, alarms.c.room, alarms.c.kind, alarms.c.received_at)
    ids = [row["id"] for row in rows]
    for row in await work.all(select(*columns).where(alarms.c.incident_id.in_(ids)).order_by(alarms.c.received_at)):
        by_incident.setdefault(row["incident_id"], []).append(row)
    result = []
    for row in rows:
        own = by_incident.get(row["id"], [])
        rooms = [a["room"] for a in own if a["room"] and a["kind"] == row["kind"]] + [
            a["room"] for a in own if a["room"]
        ]
        result.append(
            {
                **{key: row[key] for key in _COPIED},
                "home": _pick(places[row["home_id"]], "id", "sub_district", "address", "lat", "lon"),
                "resident": resident_view(people.get(row["home_id"])),
                "room": rooms[0] if rooms else None,
                "claimed_by": owners.get(row["claimed_by"]),
                "alarm_count": len(own),
            }
        )
    return result


_COPIED = (
    "id",
    "class",
    "kind",
    "cause",
    "priority",
    "state",
    "version",
    "opened_at",
    "updated_at",
    "claimed_at",
    "claim_expires_at",
    "outcome",
    "condition_cleared_at",
)


def _pick(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}


def resident_view(row: dict[str, Any] | None) -> dict[str, Any] | None:
    """A resident as every view shows them."""
    if row is None:
        return None
    return _pick(row, "id", "name", "sex", "phone") | {"age": datetime.now(UTC).year - row["birth_year"]}


async def incident_detail(work: Work, incident_id: str) -> dict[str, Any] | None:
    """Everything about one incident; None if there is none of this id."""
    row = await work.one(select(incidents).where(incidents.c.id == incident_id))
    if row is None:
        return None
    (summary,) = await _summaries(work, [row])
    home = await work.one(select(homes).where(homes.c.id == row["home_id"]))
    person = await work.one(
        select(residents.c.conditions).where(residents.c.home_id == row["home_id"]).order_by(residents.c.id)
    )
    jobs = await work.all(
        select(assignments).where(assignments.c.incident_id == incident_id).order_by(assignments.c.offered_at)
    )
    people = {
        r["id"]: r
        for r in await work.all(select(responders).where(responders.c.id.in_({j["responder_id"] for j in jobs})))
    }
    of_home = contacts.c.home_id == row["home_id"]
    messages = await work.all(select(outbox).where(outbox.c.incident_id == incident_id).order_by(outbox.c.created_at))
    log = await work.all(
        select(incident_events).where(incident_events.c.incident_id == incident_id).order_by(incident_events.c.position)
    )
    tags = {event["actor"] for event in log} | {m["recipient"] for m in messages}
    tags |= {str(event["data"].get("to")) for event in log} | {f"user:{event['data'].get('from')}" for event in log}
    names = await names_of(work, tags)
    own = await work.all(select(alarms).where(alarms.c.incident_id == incident_id).order_by(alarms.c.received_at))
    return summary | {
        "outcome_note": row["outcome_note"],
        "closed_at": row["closed_at"],
        "conditions": person["conditions"] if person else "",
        "access_note": home["access_note"] if home else "",
        "contacts": await work.all(select(contacts).where(of_home).order_by(contacts.c.position, contacts.c.id)),
        "alarms": own,
        "assignments": [job | {"responder": people[job["responder_id"]]} for job in jobs],
        "events": [
            event
            | {
                "actor_name": actor_name(event["actor"], names),
                "text": _text(event, names),
                "told": _told_by_home(event),
            }
            for event in log
        ],
        "notifications": [m | {"recipient_name": actor_name(m["recipient"], names) or m["phone"]} for m in messages],
    }


async def names_of(work: Work, tags: Iterable[str]) -> dict[str, str]:
    """Names of the people among `tags` (KIND:ID)."""
    wanted: dict[str, set[str]] = {}
    for tag in tags:
        kind, _, person = tag.partition(":")
        wanted.setdefault(kind, set()).add(person)
    names: dict[str, str] = {}
    for kind, table in (("user", users), ("contact", contacts), ("responder", responders)):
        if kind in wanted:
            people = select(table.c.id, table.c.name).where(table.c.id.in_(wanted[kind]))
            names |= {f"{kind}:{row['id']}": row["name"] for row in await work.all(people)}
    return names


def actor_name(actor: str, names: dict[str, str]) -> str:
    """How a view calls an actor: a person's name, a gateway's id, nothing for the system itself."""
    if actor == "system":
        return ""
    return names.get(actor, actor.partition(":")[2])


def _told_by_home(event: dict[str, Any]) -> dict[str, Any] | None:
    """Whom the home told by itself, of an event that says so."""
    if event["kind"] != "told_by_home":
        return None
    return {"what": ToldWhat.ALARM, **event["data"]}


def _text(event: dict[str, Any], names: dict[str, str]) -> str:
    """What an event says beyond its kind, without a word of any language: a name, a number, what somebody wrote; of an
    alarm its kind, and why nobody was told, as a code.
    """
    data = event["data"]
    if event["kind"] == "told_by_home":
        return str(data["who"])
    if "told" in data:
        return "、".join(data["told"])
    if event["kind"] == "nobody_to_tell":
        return str(data.get("reason", ""))
    if event["kind"] == "outage_grew":
        return str(data["homes"])
    if event["kind"] == "taken_over":
        return f"{names.get('user:' + str(data.get('from')), '')} → {data.get('reason', '')}"
    said = data.get("text") or data.get("name") or data.get("cause") or names.get(str(data.get("to")), "")
    return str(said or data.get("kind") or "")
