"""What operators and responders do to an incident; every action is one transaction, checked against the version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update

from cloud.context import Context, Work
from cloud.db.schema import assignments, contacts, homes, incidents, outbox, residents, responders
from cloud.db.schema import timers as timers_table
from cloud.incidents import store, timers
from cloud.incidents.cries import report_criers
from cloud.incidents.events import record
from cloud.incidents.progress import tell_home
from cloud.incidents.states import Outcome, State, Step, unowned
from cloud.incidents.store import ClaimedByOtherError, NotAllowedError, NotFoundError
from cloud.incidents.timers import TimerKind
from cloud.notify.outbox import access_code, cancel_waiting, enqueue
from cloud.notify.texts import Lang, kind_text, outcome_text
from protocols.wire import ProgressStage

ACTIVE = ("offered", "accepted", "arrived")


@dataclass(frozen=True, slots=True)
class Actor:
    """The operator who acts; `area`: the only sub-district they may see, None for the whole district."""

    user_id: str
    name: str
    area: str | None = None

    @property
    def tag(self) -> str:
        """As the event log names them."""
        return f"user:{self.user_id}"


async def _owned(work: Work, actor: Actor, incident_id: str, version: int | None) -> dict[str, Any]:
    incident = await store.load(work, incident_id, version)
    if incident["claimed_by"] != actor.user_id:
        if incident["claimed_by"] is None:
            raise NotAllowedError("claim the incident first")
        raise ClaimedByOtherError("another operator has claimed the incident")
    return incident


async def claim(context: Context, actor: Actor, incident_id: str, version: int) -> None:
    """Take the incident with a lease that `renew` prolongs. Raises store's errors."""
    async with context.work() as work:
        incident = await store.load(work, incident_id)
        state = store.after(incident, Step.CLAIM)
        if incident["claimed_by"] == actor.user_id:
            await _lease(work, incident)
            return
        if incident["claimed_by"] is not None:
            raise ClaimedByOtherError("another operator has claimed the incident")
        incident = await store.load(work, incident_id, version)
        await _give(work, incident, actor, state, "claimed")
        if incident["state"] == State.NEW:
            await tell_home(work, incident_id, incident["home_id"], ProgressStage.CLAIMED)


async def _give(work: Work, incident: dict[str, Any], actor: Actor, state: State, kind: str, **data: Any) -> None:
    await timers.cancel(work, TimerKind.LADDER, TimerKind.CLAIM_LEASE, incident_id=incident["id"])
    expires = work.now + work.context.config.dispatch.claim_lease_s
    values = {"state": state, "claimed_by": actor.user_id, "claimed_at": work.now, "claim_expires_at": expires}
    await store.change(work, incident, **values)
    await timers.schedule(work, TimerKind.CLAIM_LEASE, expires, incident_id=incident["id"])
    await record(work, incident["id"], kind, actor.tag, **data)


async def renew(context: Context, actor: Actor, incident_id: str) -> None:
    """Prolong the lease; changes nothing that anybody else sees."""
    async with context.work() as work:
        incident = await _owned(work, actor, incident_id, None)
        store.after(incident, Step.CLAIM)
        await _lease(work, incident)


async def _lease(work: Work, incident: dict[str, Any]) -> None:
    expires = work.now + work.context.config.dispatch.claim_lease_s
    await work.run(update(incidents).where(incidents.c.id == incident["id"]).values(claim_expires_at=expires))
    lease = (
        timers_table.c.incident_id == incident["id"],
        timers_table.c.kind == TimerKind.CLAIM_LEASE,
        timers_table.c.state == "waiting",
    )
    await work.run(update(timers_table).where(*lease).values(due_at=expires))


async def release(context: Context, actor: Actor, incident_id: str, version: int) -> None:
    """Give the incident back to the queue."""
    async with context.work() as work:
        incident = await _owned(work, actor, incident_id, version)
        await store.unclaim(work, incident, store.after(incident, Step.RELEASE), "released", actor.tag)


async def takeover(context: Context, actor: Actor, incident_id: str, version: int, reason: str) -> None:
    """Take an incident that another operator holds."""
    async with context.work() as work:
        incident = await store.load(work, incident_id, version)
        if incident["claimed_by"] in (None, actor.user_id):
            raise NotAllowedError("nobody else holds the incident")
        data = {"from": incident["claimed_by"], "reason": reason}
        await _give(work, incident, actor, store.after(incident, Step.TAKEOVER), "taken_over", **data)


async def dispatch(context: Context, actor: Actor, incident_id: str, version: int, responder_id: str) -> None:
    """Offer the incident to a responder by SMS."""
    async with context.work() as work:
        incident = await _owned(work, actor, incident_id, version)
        state = store.after(incident, Step.DISPATCH)
        if incident["class"] != "life":
            raise NotAllowedError("responders are sent to life incidents only")
        responder = await work.one(select(responders).where(responders.c.id == responder_id).with_for_update())
        if responder is None:
            raise NotFoundError(f"there is no responder {responder_id[:64]}")
        if not responder["on_duty"]:
            raise NotAllowedError(f"{responder['name']} is off duty")
        busy = await work.one(
            select(assignments.c.incident_id).where(
                assignments.c.responder_id == responder_id, assignments.c.state.in_(ACTIVE)
            )
        )
        if busy is not None:
            raise NotAllowedError(f"{responder['name']} is on a job")
        await _offer(work, incident, responder)
        await store.change(work, incident, state=state)
        await record(work, incident_id, "dispatched", actor.tag, responder=responder_id, name=responder["name"])


async def _offer(work: Work, incident: dict[str, Any], responder: dict[str, Any]) -> None:
    key = (assignments.c.incident_id == incident["id"], assignments.c.responder_id == responder["id"])
    offer = {"state": "offered", "offered_at": work.now, "answered_at": None, "arrived_at": None, "reasons": []}
    if not await work.run(update(assignments).where(*key).values(**offer)):
        row = {"id": work.new_id(), "incident_id": incident["id"], "responder_id": responder["id"], **offer}
        await work.run(assignments.insert().values(**row))
    home = await work.one(select(homes).where(homes.c.id == incident["home_id"]))
    lang = responder["lang"]
    params = {
        "name": await resident_name(work, incident["home_id"]),
        "kind": kind_text(incident["kind"], lang),
        "address": home["address"] if home else "",
        "url": f"{work.context.config.notify.public_url}/s",
        "code": await access_code(work, incident["id"], "responder_id", responder["id"]),
    }
    await enqueue(
        work,
        recipient=f"responder:{responder['id']}",
        phone=responder["phone"],
        lang=lang,
        template="responder_job",
        params=params,
        incident_id=incident["id"],
    )


async def resident_name(work: Work, home_id: str) -> str:
    """Name of the home's first resident; the home's id where none is registered."""
    row = await work.one(select(residents.c.name).where(residents.c.home_id == home_id).order_by(residents.c.id))
    return str(row["name"]) if row else home_id


async def answer_job(work: Work, incident_id: str, responder_id: str, answer: str) -> str:
    """A responder's accept, decline or arrive; returns the assignment's new state. Raises NotAllowedError."""
    incident = await store.load(work, incident_id)
    key = (assignments.c.incident_id == incident_id, assignments.c.responder_id == responder_id)
    job = await work.one(select(assignments).where(*key).with_for_update())
    if job is None or incident["state"] == State.CLOSED or job["state"] == "stood_down":
        raise NotAllowedError("the job has ended")
    actor = f"responder:{responder_id}"
    responder = await work.one(select(responders.c.role).where(responders.c.id == responder_id))
    role = responder["role"] if responder else None
    if answer == "accept" and job["state"] == "offered":
        await work.run(update(assignments).where(*key).values(state="accepted", answered_at=work.now))
        await store.change(work, incident)
        await record(work, incident_id, "responder_accepted", actor)
        await tell_home(work, incident_id, incident["home_id"], ProgressStage.DISPATCHED, role=role)
        return "accepted"
    if answer == "decline" and job["state"] in ("offered", "accepted"):
        await work.run(update(assignments).where(*key).values(state="declined", answered_at=work.now))
        left = await work.connection.scalar(
            select(func.count()).where(assignments.c.incident_id == incident_id, assignments.c.state.in_(ACTIVE))
        )
        state = incident["state"]
        if not left and state == State.DISPATCHED:
            state = store.after(incident, Step.ALL_DECLINED)
            state = state if incident["claimed_by"] else unowned(state)
        await store.change(work, incident, state=state)
        await record(work, incident_id, "responder_declined", actor)
        return "declined"
    if answer == "arrive" and job["state"] in ("offered", "accepted"):
        state = store.after(incident, Step.ARRIVE) if incident["state"] != State.RESOLVED else State.RESOLVED
        values = {"state": "arrived", "answered_at": job["answered_at"] or work.now, "arrived_at": work.now}
        await work.run(update(assignments).where(*key).values(**values))
        await store.change(work, incident, state=state)
        await record(work, incident_id, "responder_arrived", actor)
        await tell_home(work, incident_id, incident["home_id"], ProgressStage.ON_SCENE, role=role)
        return "arrived"
    if (answer, job["state"]) in (("accept", "accepted"), ("decline", "declined"), ("arrive", "arrived")):
        return str(job["state"])
    raise NotAllowedError(f"{answer} is not possible after {job['state']}")


async def answer_call(work: Work, incident_id: str, contact_id: str, can_go: bool) -> None:
    """A family contact says whether they can go. Raises NotAllowedError."""
    incident = await store.load(work, incident_id)
    if incident["state"] == State.CLOSED:
        raise NotAllowedError("the incident is closed")
    await store.change(work, incident)
    kind = "family_on_the_way" if can_go else "family_cannot"
    await record(work, incident_id, kind, f"contact:{contact_id}")
    if can_go:
        await tell_home(work, incident_id, incident["home_id"], ProgressStage.DISPATCHED, role="family")


async def resolve(context: Context, actor: Actor, incident_id: str, version: int) -> None:
    """What had to be done is done; the outcome comes with `close`."""
    async with context.work() as work:
        incident = await _owned(work, actor, incident_id, version)
        await store.change(work, incident, state=store.after(incident, Step.RESOLVE))
        await record(work, incident_id, "resolved", actor.tag)


async def note(context: Context, actor: Actor, incident_id: str, text: str) -> None:
    """Write down what was said; no version is needed, because a note overwrites nothing."""
    async with context.work() as work:
        incident = await store.load(work, incident_id)
        await store.change(work, incident)
        await record(work, incident_id, "note", actor.tag, text=text)


async def close(context: Context, actor: Actor, incident_id: str, version: int, outcome: Outcome, text: str) -> None:
    """End the incident with an outcome, and stand down everybody who was told of it."""
    async with context.work() as work:
        incident = await _owned(work, actor, incident_id, version)
        state = store.after(incident, Step.CLOSE)
        kinds = (TimerKind.LADDER, TimerKind.CLAIM_LEASE)
        await timers.cancel(work, *kinds, incident_id=incident_id)
        values = {"state": state, "outcome": outcome, "outcome_note": text, "closed_at": work.now}
        await store.change(work, incident, **values, claim_expires_at=None)
        await record(work, incident_id, "closed", actor.tag, outcome=outcome, text=text)
        if outcome is Outcome.FALSE_ALARM and incident["class"] == "life":
            await report_criers(work, incident)
        await _stand_down(work, incident, outcome)
        await tell_home(work, incident_id, incident["home_id"], ProgressStage.STOOD_DOWN)


async def _stand_down(work: Work, incident: dict[str, Any], outcome: Outcome) -> None:
    """A message to exactly those who were told; whoever was only about to be told hears nothing."""
    await cancel_waiting(work, incident["id"])
    key = (assignments.c.incident_id == incident["id"], assignments.c.state.in_(ACTIVE))
    await work.run(update(assignments).where(*key).values(state="stood_down"))
    told = await work.all(
        select(outbox.c.recipient, outbox.c.phone, outbox.c.template)
        .where(
            outbox.c.incident_id == incident["id"],
            outbox.c.state != "cancelled",
            outbox.c.template.in_(("contact_alarm", "responder_job")),
        )
        .distinct()
    )
    declined = {
        f"responder:{row['responder_id']}"
        for row in await work.all(
            select(assignments.c.responder_id).where(
                assignments.c.incident_id == incident["id"], assignments.c.state == "declined"
            )
        )
    }
    name = await resident_name(work, incident["home_id"])
    for row in told:
        kind, _, person = row["recipient"].partition(":")
        if row["recipient"] in declined:
            continue
        people = contacts if kind == "contact" else responders
        found = await work.one(select(people.c.lang).where(people.c.id == person))
        lang: Lang = found["lang"] if found else "zh"
        await enqueue(
            work,
            recipient=row["recipient"],
            phone=row["phone"],
            lang=lang,
            template=f"{kind}_stand_down",
            params={"name": name, "outcome": outcome_text(outcome, lang)},
            incident_id=incident["id"],
        )
