"""Escalation, claims, responders and replies, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import delete, update

from cloud.context import Context
from cloud.db.schema import alarms, commands, contacts, incidents, outbox, timers, users
from cloud.dispatch.auditor import audit
from cloud.dispatch.replies import receive_receipt, receive_reply
from cloud.dispatch.responders import rank
from cloud.incidents import actions
from cloud.incidents.intake import AlarmIntake
from cloud.incidents.queries import incident_detail, list_incidents
from cloud.incidents.states import TRANSITIONS, Outcome, State, Step
from cloud.incidents.store import ClaimedByOtherError, NotAllowedError, NotFoundError, VersionConflictError
from cloud.incidents.technical import open_technical
from firmware_sim.demo import registry as people
from protocols.wire import AlarmState, Progress, ProgressStage, decode_command
from tests.conftest import ManualClock
from tests.support.district import GATEWAY, HOME, alarm, settle
from tests.support.incidents import CHIEF, ME, messages_to, raise_alarm, rows_of, run_timers, the_incident


async def test_escalation_climbs_until_somebody_claims(context: Context, clock: ManualClock) -> None:
    """At once the family; after a minute the supervisor, then again and again; a claim stops it."""
    await settle(context)
    found = await raise_alarm(context, clock)
    assert await messages_to(context) == [("contact:c-demo-1", "contact_alarm"), ("contact:c-demo-2", "contact_alarm")]
    clock.now += 61
    await run_timers(context)
    assert ("user:u-chief", "supervisor_alarm") in await messages_to(context)
    clock.now += 1000
    await run_timers(context)
    before = len(await messages_to(context))
    clock.now += 301
    await run_timers(context)
    assert len(await messages_to(context)) == before + 1
    await actions.claim(context, ME, found["id"], (await the_incident(context))["version"])
    for _ in range(50):
        clock.now += 20
        await actions.renew(context, ME, found["id"])
        await run_timers(context)
    assert len(await messages_to(context)) == before + 1
    assert (await the_incident(context))["claimed_by"] == {"id": "u-demo", "name": "值班员 演示"}


async def test_claim_is_a_lease(context: Context, clock: ManualClock) -> None:
    """An operator whose browser died loses the incident; it escalates again."""
    await settle(context)
    found = await raise_alarm(context, clock)
    await actions.claim(context, ME, found["id"], found["version"])
    clock.now += 59
    await run_timers(context)
    assert (await the_incident(context))["state"] == "claimed"
    clock.now += 2
    await run_timers(context)
    found = await the_incident(context)
    assert (found["state"], found["claimed_by"]) == ("new", None)
    assert await rows_of(context, timers, timers.c.kind == "ladder", timers.c.state == "waiting")


async def _log(context: Context, incident_id: str) -> list[tuple[str, str]]:
    """Kind and text of every entry of an incident's log."""
    async with context.look() as work:
        found = await incident_detail(work, incident_id)
    assert found is not None
    return [(event["kind"], event["text"]) for event in found["events"]]


async def test_a_released_incident_says_who_has_been_told(context: Context, clock: ManualClock) -> None:
    """The ladder begins anew and nobody is told twice; the log names who was told, and not those whom no message
    reached.
    """
    await settle(context)
    found = await raise_alarm(context, clock)
    sent = await messages_to(context)
    names = {row["id"]: row["name"] for row in await rows_of(context, contacts)}

    async def back_to_the_queue() -> list[tuple[str, str]]:
        before = len(await _log(context, found["id"]))
        await actions.claim(context, ME, found["id"], (await the_incident(context))["version"])
        await actions.release(context, ME, found["id"], (await the_incident(context))["version"])
        await run_timers(context)
        return (await _log(context, found["id"]))[before:]

    told = f"{names['c-demo-1']}、{names['c-demo-2']}"
    assert await back_to_the_queue() == [("claimed", ""), ("released", ""), ("already_told", told)]
    async with context.work() as work:
        await work.run(update(outbox).where(outbox.c.recipient == "contact:c-demo-1").values(state="failed"))
    assert (await back_to_the_queue())[-1] == ("already_told", names["c-demo-2"])
    async with context.work() as work:
        await work.run(update(outbox).values(state="failed"))
    assert (await back_to_the_queue())[-1] == ("nobody_to_tell", "not_delivered")
    assert await messages_to(context) == sent


async def test_nobody_to_tell_has_a_reason(context: Context, clock: ManualClock) -> None:
    """A home without contacts, then no supervisor with a phone; a fault is nothing that a family is to be told of."""
    await settle(context)
    async with context.work() as work:
        await work.run(update(users).where(users.c.role == "family").values(contact_id=None))
        await work.run(delete(contacts))
        await work.run(update(users).values(phone=""))
    found = await raise_alarm(context, clock)
    clock.now += 61
    await run_timers(context)
    shortfalls = [entry for entry in await _log(context, found["id"]) if entry[0] == "nobody_to_tell"]
    assert shortfalls == [("nobody_to_tell", "no_contacts"), ("nobody_to_tell", "no_supervisors")]
    async with context.work() as work:
        await open_technical(work, HOME, "gateway_offline", "system", "medium")
    clock.now += 31
    await run_timers(context)
    async with context.look() as work:
        (fault,) = [i for i in await list_incidents(work) if i["class"] == "technical"]
    assert await _log(context, fault["id"]) == [("opened", "gateway_offline")]


async def test_two_operators(context: Context, clock: ManualClock) -> None:
    """Of two who claim at once one gets it; acting on an old version, or without the claim, is refused."""
    await settle(context)
    found = await raise_alarm(context, clock)
    jobs = (actions.claim(context, who, found["id"], found["version"]) for who in (ME, CHIEF))
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(r) for r in results if r is not None] == [ClaimedByOtherError]
    owner, other = (ME, CHIEF) if results[0] is None else (CHIEF, ME)
    with pytest.raises(ClaimedByOtherError):
        await actions.close(context, other, found["id"], found["version"] + 1, Outcome.TEST, "")
    with pytest.raises(VersionConflictError):
        await actions.resolve(context, owner, found["id"], found["version"])
    with pytest.raises(NotFoundError):
        await actions.claim(context, owner, "0" * 36, 1)
    await actions.takeover(context, other, found["id"], (await the_incident(context))["version"], "shift ends")
    assert (await the_incident(context))["claimed_by"]["id"] == other.user_id


async def test_dispatch_to_close(context: Context, clock: ManualClock) -> None:
    """Nurse declines, another accepts and arrives; closing stands down exactly those who were told."""
    await settle(context)
    found = await raise_alarm(context, clock)
    incident = found["id"]
    await actions.claim(context, ME, incident, found["version"])

    async def version() -> int:
        return int((await the_incident(context))["version"])

    await actions.dispatch(context, ME, incident, await version(), people.NURSE)
    assert await receive_reply(context, "m1", people.NURSE_PHONE, "2") == "declined"
    assert (await the_incident(context))["state"] == "claimed"
    await actions.dispatch(context, ME, incident, await version(), "r-lianhua")
    with pytest.raises(NotAllowedError, match="on a job"):
        await actions.dispatch(context, ME, incident, await version(), "r-lianhua")
    async with context.look() as work:
        phone = next(c.responder["phone"] for c in await rank(work, incident) if c.responder["id"] == "r-lianhua")
    assert await receive_reply(context, "m2", phone, " 1 ") == "accepted"
    assert await receive_reply(context, "m2", phone, "1") == "duplicate"
    assert await receive_reply(context, "m3", phone, "３") == "arrived"
    assert (await the_incident(context))["state"] == "on_scene"
    assert await receive_reply(context, "m4", people.FAMILY_PHONE, "1 我马上到") == "can_go"
    async with context.work() as work:
        await work.run(update(outbox).values(state="sent"))
    await actions.close(context, ME, incident, await version(), Outcome.REAL_FALL, "送医")
    told = [r for r in await messages_to(context) if r[1].endswith("stand_down")]
    assert told == [
        ("contact:c-demo-1", "contact_stand_down"),
        ("contact:c-demo-2", "contact_stand_down"),
        ("responder:r-lianhua", "responder_stand_down"),
    ]
    assert await rows_of(context, timers, timers.c.state == "waiting", timers.c.incident_id == incident) == []
    assert await receive_reply(context, "m5", phone, "1") == "closed"
    rows = sorted(await rows_of(context, commands), key=lambda r: r["created_at"])
    told_home = [c for row in rows if isinstance(c := decode_command(bytes(row["payload"])), Progress)]
    assert Counter((c.stage.value, c.responder_role) for c in told_home) == Counter(
        [
            ("received", None),
            ("claimed", None),
            ("dispatched", "social_worker"),
            ("on_scene", "social_worker"),
            ("dispatched", "family"),
            ("stood_down", None),
        ]
    )
    (last,) = (c for c in told_home if c.stage is ProgressStage.STOOD_DOWN)
    assert last.alarm_ids == tuple(row["alarm_id"] for row in await rows_of(context, alarms))
    assert all(c.alarm_ids == () for c in told_home if c is not last)
    async with context.look() as work:
        detail = await incident_detail(work, incident)
    assert detail is not None
    kinds = [event["kind"] for event in detail["events"]]
    assert kinds[0] == "opened"
    assert kinds[-1] == "closed"
    assert {"claimed", "dispatched", "responder_declined", "responder_accepted", "responder_arrived"} <= set(kinds)


async def test_messages_not_yet_sent_are_taken_back(context: Context, clock: ManualClock) -> None:
    """A false alarm closed before any SMS left: the family hears nothing at all."""
    await settle(context)
    found = await raise_alarm(context, clock)
    await actions.claim(context, ME, found["id"], (await the_incident(context))["version"])
    await actions.close(context, ME, found["id"], (await the_incident(context))["version"], Outcome.FALSE_ALARM, "")
    assert {row["state"] for row in await rows_of(context, outbox)} == {"cancelled"}


async def test_unclear_and_unknown_replies(context: Context, clock: ManualClock) -> None:
    """What cannot be understood is answered, but not without end; a stranger's message changes nothing."""
    await settle(context)
    found = await raise_alarm(context, clock)
    for i in range(9):
        assert await receive_reply(context, f"m{i}", people.FAMILY_PHONE, "什么？") == "not_understood"
    assert len([r for r in await messages_to(context) if r[1] == "reply_unknown"]) == 5
    assert await receive_reply(context, "x", "19999999999", "1") == "unknown_sender"
    code = next(
        r["body"]["params"]["code"] for r in await rows_of(context, outbox) if r["recipient"] == "contact:c-demo-2"
    )
    assert await receive_reply(context, "y", people.SECOND_FAMILY_PHONE, f"2 {code}") == "cannot_go"
    assert await receive_reply(context, "z", "19999999999", f"1 {code}") == "unknown_sender"
    assert (await the_incident(context))["id"] == found["id"]


async def test_receipts(context: Context, clock: ManualClock) -> None:
    """Delivered is final; a receipt for a message we never sent is not ours."""
    await settle(context)
    await raise_alarm(context, clock)
    message = (await rows_of(context, outbox))[0]["id"]
    assert await receive_receipt(context, message, delivered=True)
    assert await receive_receipt(context, message, delivered=False, detail="late")
    assert (await rows_of(context, outbox, outbox.c.id == message))[0]["state"] == "delivered"
    assert not await receive_receipt(context, "nothing", delivered=True)


async def test_ranking_says_why(context: Context, clock: ManualClock) -> None:
    """The nearest on duty comes first; whoever cannot be sent stands at the end with the reason."""
    await settle(context)
    found = await raise_alarm(context, clock)
    async with context.look() as work:
        ranked = await rank(work, found["id"])
    assert ranked[0].responder["id"] == people.NURSE
    assert ranked[0].distance_m == pytest.approx(455, abs=30)
    assert "same_sub_district" in ranked[0].reasons
    off = [c for c in ranked if not c.eligible]
    assert off == ranked[-len(off) :]
    assert all("off_duty" in c.reasons for c in off)
    await actions.claim(context, ME, found["id"], found["version"])
    with pytest.raises(NotAllowedError, match="off duty"):
        await actions.dispatch(context, ME, found["id"], found["version"] + 1, off[0].responder["id"])


async def _random_step(context: Context, rng: random.Random, row: dict[str, Any], seq: int, now: float) -> None:
    who, incident, version = rng.choice((ME, CHIEF)), row["id"], row["version"]
    steps = (
        lambda: actions.claim(context, who, incident, version),
        lambda: actions.release(context, who, incident, version),
        lambda: actions.dispatch(context, who, incident, version, rng.choice((people.NURSE, "r-futian"))),
        lambda: actions.resolve(context, who, incident, version),
        lambda: actions.takeover(context, who, incident, version, "because"),
        lambda: actions.close(context, who, incident, version, Outcome.OTHER, ""),
        lambda: receive_reply(context, f"m{seq}", people.NURSE_PHONE, rng.choice("123")),
        lambda: AlarmIntake(context).accept(GATEWAY, alarm(AlarmState.RAISED, seq, now)),
        lambda: run_timers(context),
    )
    try:
        await rng.choice(steps)()
    except (NotAllowedError, VersionConflictError, NotFoundError):
        pass


async def test_random_walks_follow_the_table(context: Context, clock: ManualClock) -> None:
    """Random actions only ever lead along the transition table, and no open incident is ever without a timer."""
    await settle(context)
    rng = random.Random(11)
    allowed = {(a, b) for (a, _), b in TRANSITIONS.items()}
    allowed |= {(State.DISPATCHED, State.NEW), (State.RESOLVED, State.NEW)}
    reached: set[str] = set()
    for seq in range(1, 161):
        clock.now += rng.choice((1, 5, 70))
        open_now = [r for r in await rows_of(context, incidents) if r["state"] != "closed"]
        if not open_now:
            await AlarmIntake(context).accept(GATEWAY, alarm(AlarmState.RAISED, seq, clock.now))
            continue
        (row,) = open_now
        await _random_step(context, rng, row, seq, clock.now)
        (after,) = await rows_of(context, incidents, incidents.c.id == row["id"])
        step = (State(row["state"]), State(after["state"]))
        assert step[0] == step[1] or step in allowed, step
        reached.add(after["state"])
        assert await audit(context, Counter()) == 0
    assert {"new", "claimed", "dispatched", "closed"} <= reached


def test_every_state_but_closed_can_be_left() -> None:
    """Nothing leads out of closed; everything else leads there."""
    assert {a for a, _ in TRANSITIONS} == set(State) - {State.CLOSED}
    assert all(
        TRANSITIONS.get((s, Step.CLOSE)) is State.CLOSED for s in (State.CLAIMED, State.DISPATCHED, State.ON_SCENE)
    )
