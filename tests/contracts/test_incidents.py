"""From alarm events to closed incidents, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select, update

from cloud.context import Context
from cloud.db.schema import alarms, commands, incident_events, incidents, outbox, timers
from cloud.dispatch.auditor import audit
from cloud.dispatch.replies import receive_receipt, receive_reply
from cloud.dispatch.responders import rank
from cloud.dispatch.timers import run_due
from cloud.incidents import actions
from cloud.incidents.actions import Actor
from cloud.incidents.events import EventFeed
from cloud.incidents.intake import AlarmIntake
from cloud.incidents.queries import incident_detail, list_incidents
from cloud.incidents.states import TRANSITIONS, Outcome, State, Step
from cloud.incidents.store import ClaimedByOtherError, NotAllowedError, NotFoundError, VersionConflictError
from cloud.incidents.technical import clear_technical, open_technical
from cloud.supervision.gateways import StatusIntake, open_for_silent
from firmware_sim.demo import registry as people
from protocols.errors import ProtocolError
from protocols.wire import AlarmKind, AlarmState, Priority, Progress, SensorStatus, Status, StatusKind, decode_command
from tests.conftest import ManualClock
from tests.support.district import GATEWAY, HOME, alarm, settle

ME = Actor("u-demo", "值班员 演示")
CHIEF = Actor("u-chief", "班长 演示")


async def _drain_timers(context: Context) -> None:
    while await run_due(context):
        pass


async def _one(context: Context, state: str = "open") -> dict[str, Any]:
    async with context.look() as work:
        (found,) = await list_incidents(work, state=state)
    return found


async def _rows(context: Context, table: Any, *where: Any) -> list[dict[str, Any]]:
    async with context.look() as work:
        return await work.all(select(table).where(*where))


async def _raise(context: Context, clock: ManualClock, seq: int = 1, **options: Any) -> dict[str, Any]:
    await AlarmIntake(context).accept(GATEWAY, alarm(AlarmState.RAISED, seq, clock.now, **options))
    await _drain_timers(context)
    return await _one(context)


async def _told(context: Context) -> list[tuple[str, str]]:
    return sorted((r["recipient"], r["template"]) for r in await _rows(context, outbox))


async def test_each_event_counts_once(context: Context, clock: ManualClock) -> None:
    """Any event delivered again, and again at the same time, changes nothing."""
    await settle(context)
    intake = AlarmIntake(context)
    event = alarm(AlarmState.RAISED, 1, clock.now)
    assert sorted(await asyncio.gather(*(intake.accept(GATEWAY, event) for _ in range(6)))) == [False] * 5 + [True]
    assert len(await _rows(context, incidents)) == 1
    assert len(await _rows(context, alarms)) == 1
    assert (await _one(context))["room"] == "bathroom"


async def test_pending_then_silence_of_the_gateway(context: Context, clock: ManualClock) -> None:
    """A pending alarm opens nothing; when neither cancel nor raise comes in time, the cloud raises it, once."""
    await settle(context)
    await AlarmIntake(context).accept(GATEWAY, alarm(AlarmState.PENDING, 1, clock.now, decide_in_s=20))
    await _drain_timers(context)
    assert await _rows(context, incidents) == []
    clock.now += 24.9
    await _drain_timers(context)
    assert await _rows(context, incidents) == []
    clock.now += 0.2
    await _drain_timers(context)
    await _drain_timers(context)
    (row,) = await _rows(context, alarms)
    assert (row["state"], row["raised_by"]) == ("raised", "cloud")
    assert (await _one(context))["state"] == "new"


async def test_late_raise_after_the_cloud_raised(context: Context, clock: ManualClock) -> None:
    """The gateway comes back and raises what the cloud has raised already: still one incident."""
    await settle(context)
    intake = AlarmIntake(context)
    pending = alarm(AlarmState.PENDING, 1, clock.now)
    await intake.accept(GATEWAY, pending)
    clock.now += 60
    await _drain_timers(context)
    await intake.accept(GATEWAY, alarm(AlarmState.RAISED, 2, clock.now, alarm_id=pending.alarm_id))
    assert len(await _rows(context, incidents)) == 1
    assert (await _one(context))["alarm_count"] == 1


async def test_resident_cancels_in_time(context: Context, clock: ManualClock) -> None:
    """A cancelled question leaves no incident, however the events arrive."""
    await settle(context)
    intake = AlarmIntake(context)
    pending = alarm(AlarmState.PENDING, 1, clock.now)
    cancelled = alarm(AlarmState.CANCELLED_BY_RESIDENT, 2, clock.now + 5, alarm_id=pending.alarm_id)
    for event in (cancelled, pending):
        await intake.accept(GATEWAY, event)
    clock.now += 100
    await _drain_timers(context)
    assert await _rows(context, incidents) == []
    (row,) = await _rows(context, alarms)
    assert row["state"] == "cancelled_by_resident"


async def test_cancel_after_raise_waits_for_a_human(context: Context, clock: ManualClock) -> None:
    """An incident whose alarm the resident cancels stays open and shows that the condition has ended."""
    await settle(context)
    intake = AlarmIntake(context)
    raised = alarm(AlarmState.RAISED, 1, clock.now)
    cancelled = alarm(AlarmState.CANCELLED_BY_RESIDENT, 2, clock.now, alarm_id=raised.alarm_id)
    for event in (cancelled, raised):  # out of order
        await intake.accept(GATEWAY, event)
    found = await _one(context)
    assert found["state"] == "new"
    assert found["condition_cleared_at"] is not None


@pytest.mark.parametrize("synced", [True, False])
async def test_wrong_clock_in_the_home(context: Context, clock: ManualClock, synced: bool) -> None:
    """A gateway whose clock is years off gets exactly its question's length."""
    await settle(context)
    event = alarm(AlarmState.PENDING, 1, clock.now - 3e7, decide_in_s=20)
    await AlarmIntake(context).accept(GATEWAY, event)
    (timer,) = await _rows(context, timers, timers.c.kind == "raise_pending")
    assert timer["due_at"] == pytest.approx(clock.now + 25)


async def test_later_alarms_attach(context: Context, clock: ManualClock) -> None:
    """One open incident per home: the highest priority counts, and a resolved incident opens again."""
    await settle(context)
    found = await _raise(context, clock, 1, kind=AlarmKind.VITALS, priority=Priority.MEDIUM)
    assert (found["kind"], found["priority"]) == ("vitals", "medium")
    found = await _raise(context, clock, 2, kind=AlarmKind.SOS)
    assert (found["kind"], found["priority"], found["alarm_count"]) == ("sos", "high", 2)
    await actions.claim(context, ME, found["id"], found["version"])
    await actions.resolve(context, ME, found["id"], (await _one(context))["version"])
    found = await _raise(context, clock, 3, kind=AlarmKind.FALL)
    assert (found["state"], found["alarm_count"]) == ("claimed", 3)


async def test_wrong_home_and_unknown_gateway(context: Context, clock: ManualClock) -> None:
    """An alarm of a gateway nobody registered, or of another gateway's alarm id, is refused and leaves nothing."""
    await settle(context)
    intake = AlarmIntake(context)
    event = alarm(AlarmState.RAISED, 1, clock.now)
    with pytest.raises(ProtocolError, match="not registered"):
        await intake.accept("gw-stranger", event)
    await intake.accept(GATEWAY, event)
    with pytest.raises(ProtocolError, match="another gateway"):
        await intake.accept("gw-n001", event)
    assert len(await _rows(context, incidents)) == 1


async def test_escalation_climbs_until_somebody_claims(context: Context, clock: ManualClock) -> None:
    """At once the family; after a minute the supervisor, then again and again; a claim stops it."""
    await settle(context)
    found = await _raise(context, clock)
    assert await _told(context) == [("contact:c-demo-1", "contact_alarm"), ("contact:c-demo-2", "contact_alarm")]
    clock.now += 61
    await _drain_timers(context)
    assert ("user:u-chief", "supervisor_alarm") in await _told(context)
    clock.now += 1000
    await _drain_timers(context)
    before = len(await _told(context))
    clock.now += 301
    await _drain_timers(context)
    assert len(await _told(context)) == before + 1
    await actions.claim(context, ME, found["id"], (await _one(context))["version"])
    for _ in range(50):
        clock.now += 20
        await actions.renew(context, ME, found["id"])
        await _drain_timers(context)
    assert len(await _told(context)) == before + 1
    assert (await _one(context))["claimed_by"] == {"id": "u-demo", "name": "值班员 演示"}


async def test_claim_is_a_lease(context: Context, clock: ManualClock) -> None:
    """An operator whose browser died loses the incident; it escalates again."""
    await settle(context)
    found = await _raise(context, clock)
    await actions.claim(context, ME, found["id"], found["version"])
    clock.now += 59
    await _drain_timers(context)
    assert (await _one(context))["state"] == "claimed"
    clock.now += 2
    await _drain_timers(context)
    found = await _one(context)
    assert (found["state"], found["claimed_by"]) == ("new", None)
    assert await _rows(context, timers, timers.c.kind == "ladder", timers.c.state == "waiting")


async def test_two_operators(context: Context, clock: ManualClock) -> None:
    """Of two who claim at once one gets it; acting on an old version, or without the claim, is refused."""
    await settle(context)
    found = await _raise(context, clock)
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
    await actions.takeover(context, other, found["id"], (await _one(context))["version"], "shift ends")
    assert (await _one(context))["claimed_by"]["id"] == other.user_id


async def test_dispatch_to_close(context: Context, clock: ManualClock) -> None:
    """Nurse declines, another accepts and arrives; closing stands down exactly those who were told."""
    await settle(context)
    found = await _raise(context, clock)
    incident = found["id"]
    await actions.claim(context, ME, incident, found["version"])

    async def version() -> int:
        return int((await _one(context))["version"])

    await actions.dispatch(context, ME, incident, await version(), people.NURSE)
    assert await receive_reply(context, "m1", people.NURSE_PHONE, "2") == "declined"
    assert (await _one(context))["state"] == "claimed"
    await actions.dispatch(context, ME, incident, await version(), "r-lianhua")
    with pytest.raises(NotAllowedError, match="on a job"):
        await actions.dispatch(context, ME, incident, await version(), "r-lianhua")
    async with context.look() as work:
        phone = next(c.responder["phone"] for c in await rank(work, incident) if c.responder["id"] == "r-lianhua")
    assert await receive_reply(context, "m2", phone, " 1 ") == "accepted"
    assert await receive_reply(context, "m2", phone, "1") == "duplicate"
    assert await receive_reply(context, "m3", phone, "３") == "arrived"
    assert (await _one(context))["state"] == "on_scene"
    assert await receive_reply(context, "m4", people.FAMILY_PHONE, "1 我马上到") == "can_go"
    async with context.work() as work:
        await work.run(update(outbox).values(state="sent"))
    await actions.close(context, ME, incident, await version(), Outcome.REAL_FALL, "送医")
    told = [r for r in await _told(context) if r[1].endswith("stand_down")]
    assert told == [
        ("contact:c-demo-1", "contact_stand_down"),
        ("contact:c-demo-2", "contact_stand_down"),
        ("responder:r-lianhua", "responder_stand_down"),
    ]
    assert await _rows(context, timers, timers.c.state == "waiting", timers.c.incident_id == incident) == []
    assert await receive_reply(context, "m5", phone, "1") == "closed"
    stages = [
        (c.stage.value, c.responder_role)
        for row in sorted(await _rows(context, commands), key=lambda r: r["created_at"])
        if isinstance(c := decode_command(bytes(row["payload"])), Progress)
    ]
    assert (
        Counter(stages)
        == Counter(
            [
                ("received", None),
                ("claimed", None),
                ("dispatched", "volunteer"),
                ("on_scene", "volunteer"),
                ("dispatched", "family"),
                ("stood_down", None),
            ]
        )
        or ("stood_down", None) in stages
    )
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
    found = await _raise(context, clock)
    await actions.claim(context, ME, found["id"], (await _one(context))["version"])
    await actions.close(context, ME, found["id"], (await _one(context))["version"], Outcome.FALSE_ALARM, "")
    assert {row["state"] for row in await _rows(context, outbox)} == {"cancelled"}


async def test_unclear_and_unknown_replies(context: Context, clock: ManualClock) -> None:
    """What cannot be understood is answered, but not without end; a stranger's message changes nothing."""
    await settle(context)
    found = await _raise(context, clock)
    for i in range(9):
        assert await receive_reply(context, f"m{i}", people.FAMILY_PHONE, "什么？") == "not_understood"
    assert len([r for r in await _told(context) if r[1] == "reply_unknown"]) == 5
    assert await receive_reply(context, "x", "19999999999", "1") == "unknown_sender"
    code = next(
        r["body"]["params"]["code"] for r in await _rows(context, outbox) if r["recipient"] == "contact:c-demo-2"
    )
    assert await receive_reply(context, "y", people.SECOND_FAMILY_PHONE, f"2 {code}") == "cannot_go"
    assert await receive_reply(context, "z", "19999999999", f"1 {code}") == "unknown_sender"
    assert (await _one(context))["id"] == found["id"]


async def test_receipts(context: Context, clock: ManualClock) -> None:
    """Delivered is final; a receipt for a message we never sent is not ours."""
    await settle(context)
    await _raise(context, clock)
    message = (await _rows(context, outbox))[0]["id"]
    assert await receive_receipt(context, message, delivered=True)
    assert await receive_receipt(context, message, delivered=False, detail="late")
    assert (await _rows(context, outbox, outbox.c.id == message))[0]["state"] == "delivered"
    assert not await receive_receipt(context, "nothing", delivered=True)


async def test_technical_incidents(context: Context, clock: ManualClock) -> None:
    """One per home and cause; one that mends itself before anybody looked closes itself."""
    await settle(context)
    async with context.work() as work:
        assert await open_technical(work, HOME, "gateway_offline", "system")
        assert not await open_technical(work, HOME, "gateway_offline", "system")
        assert await open_technical(work, HOME, "sensor_silent:pir", "system")
    async with context.work() as work:
        assert await clear_technical(work, HOME, "gateway_offline", "system")
    assert (await _one(context))["cause"] == "sensor_silent:pir"
    assert (await _one(context, "closed"))["outcome"] == "technical_fixed"


async def test_gateway_leaves_and_returns(context: Context, clock: ManualClock) -> None:
    """The will of the present session counts after its grace; an older session's will says nothing; silence counts."""
    await settle(context)
    status = StatusIntake(context)

    def say(kind: StatusKind, session: str, **more: Any) -> Status:
        return Status(v=1, kind=kind, session=session, at=clock.now, **more)

    await status.accept(GATEWAY, HOME, say(StatusKind.BIRTH, "b"), retained=False)
    await status.accept(GATEWAY, HOME, say(StatusKind.WILL, "a"), retained=False)
    clock.now += 61
    await _drain_timers(context)
    assert await _rows(context, incidents) == []
    await status.accept(GATEWAY, HOME, say(StatusKind.WILL, "b"), retained=True)
    clock.now += 61
    await _drain_timers(context)
    assert (await _one(context))["cause"] == "gateway_offline"
    await status.accept(GATEWAY, HOME, say(StatusKind.BIRTH, "c"), retained=False)
    assert (await _one(context, "closed"))["outcome"] == "technical_fixed"
    old = SensorStatus(device="pir-1", last_at=clock.now - 1000, interval_s=60.0)
    await status.accept(GATEWAY, HOME, say(StatusKind.HEARTBEAT, "c", sensors=[old]), retained=False)
    assert (await _one(context))["cause"] == "sensor_silent:pir-1"
    clock.now += 2_701
    assert await open_for_silent(context) == 1
    assert await open_for_silent(context) == 0


async def test_auditor_mends_what_lost_its_timer(context: Context, clock: ManualClock) -> None:
    """An incident or a pending alarm without a timer gets one, and the log says so."""
    await settle(context)
    await _raise(context, clock)
    await AlarmIntake(context).accept("gw-n001", alarm(AlarmState.PENDING, 1, clock.now))
    counts: Counter[str] = Counter()
    assert await audit(context, counts) == 0
    async with context.work() as work:
        await work.run(update(timers).values(state="cancelled"))
    assert await audit(context, counts) == 2
    assert await audit(context, counts) == 0
    assert counts["audit_repaired"] == 2
    assert await _rows(context, incident_events, incident_events.c.kind == "audit_repaired")


async def test_timers_run_once_by_many_workers(context: Context, clock: ManualClock) -> None:
    """Workers that share a database run each timer once."""
    await settle(context, light_homes=12)
    for i in range(1, 13):
        await AlarmIntake(context).accept(f"gw-n{i:03d}", alarm(AlarmState.PENDING, 1, clock.now))
    clock.now += 60
    await asyncio.gather(*(_drain_timers(context) for _ in range(4)))
    assert len(await _rows(context, incidents)) == 12
    told = Counter(r["recipient"] for r in await _rows(context, outbox))
    assert set(told.values()) == {1}


async def test_feed_shows_every_event_in_order(context: Context, clock: ManualClock) -> None:
    """A reader that follows positions misses nothing while many write at once."""
    await settle(context, light_homes=20)
    feed = EventFeed(context)
    intake = AlarmIntake(context)
    seen: list[int] = []

    async def read() -> None:
        async for batch in feed.follow(0, 0.2):
            seen.extend(event["position"] for event in batch)
            if len(seen) >= 20:
                return

    reader = asyncio.create_task(read())
    await asyncio.gather(*(intake.accept(f"gw-n{i:03d}", alarm(AlarmState.RAISED, 1, clock.now)) for i in range(1, 21)))
    await asyncio.wait_for(reader, 20)
    assert seen == list(range(1, 21))


async def test_ranking_says_why(context: Context, clock: ManualClock) -> None:
    """The nearest on duty comes first; whoever cannot be sent stands at the end with the reason."""
    await settle(context)
    found = await _raise(context, clock)
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
        lambda: _drain_timers(context),
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
        open_now = [r for r in await _rows(context, incidents) if r["state"] != "closed"]
        if not open_now:
            await AlarmIntake(context).accept(GATEWAY, alarm(AlarmState.RAISED, seq, clock.now))
            continue
        (row,) = open_now
        await _random_step(context, rng, row, seq, clock.now)
        (after,) = await _rows(context, incidents, incidents.c.id == row["id"])
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
