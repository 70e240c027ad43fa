"""From alarm events to incidents, and what watches over them, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec
import pytest
from sqlalchemy import update

from cloud.context import Context
from cloud.db.schema import alarms, incident_events, incidents, outbox, timers
from cloud.dispatch.auditor import audit
from cloud.incidents import actions
from cloud.incidents.events import EventFeed
from cloud.incidents.intake import AlarmIntake
from cloud.incidents.queries import incident_detail
from cloud.incidents.technical import clear_technical, open_technical
from protocols.errors import ProtocolError
from protocols.wire import AlarmKind, AlarmState, Evidence, Priority, TellOutcome, Told, ToldWhat
from tests.conftest import ManualClock
from tests.support.district import GATEWAY, HOME, alarm, settle
from tests.support.incidents import ME, raise_alarm, rows_of, run_timers, the_incident


async def test_each_event_counts_once(context: Context, clock: ManualClock) -> None:
    """Any event delivered again, and again at the same time, changes nothing."""
    await settle(context)
    intake = AlarmIntake(context)
    event = alarm(AlarmState.RAISED, 1, clock.now)
    assert sorted(await asyncio.gather(*(intake.accept(GATEWAY, event) for _ in range(6)))) == [False] * 5 + [True]
    assert len(await rows_of(context, incidents)) == 1
    assert len(await rows_of(context, alarms)) == 1
    assert (await the_incident(context))["room"] == "bathroom"


async def test_pending_then_silence_of_the_gateway(context: Context, clock: ManualClock) -> None:
    """A pending alarm opens nothing; when neither cancel nor raise comes in time, the cloud raises it, once."""
    await settle(context)
    await AlarmIntake(context).accept(GATEWAY, alarm(AlarmState.PENDING, 1, clock.now, decide_in_s=20))
    await run_timers(context)
    assert await rows_of(context, incidents) == []
    clock.now += 24.9
    await run_timers(context)
    assert await rows_of(context, incidents) == []
    clock.now += 0.2
    await run_timers(context)
    await run_timers(context)
    (row,) = await rows_of(context, alarms)
    assert (row["state"], row["raised_by"]) == ("raised", "cloud")
    assert (await the_incident(context))["state"] == "new"


async def test_late_raise_after_the_cloud_raised(context: Context, clock: ManualClock) -> None:
    """The gateway comes back and raises what the cloud has raised already: still one incident."""
    await settle(context)
    intake = AlarmIntake(context)
    pending = alarm(AlarmState.PENDING, 1, clock.now)
    await intake.accept(GATEWAY, pending)
    clock.now += 60
    await run_timers(context)
    await intake.accept(GATEWAY, alarm(AlarmState.RAISED, 2, clock.now, alarm_id=pending.alarm_id))
    assert len(await rows_of(context, incidents)) == 1
    assert (await the_incident(context))["alarm_count"] == 1


async def test_resident_cancels_in_time(context: Context, clock: ManualClock) -> None:
    """A cancelled question leaves no incident, however the events arrive."""
    await settle(context)
    intake = AlarmIntake(context)
    pending = alarm(AlarmState.PENDING, 1, clock.now)
    cancelled = alarm(AlarmState.CANCELLED_BY_RESIDENT, 2, clock.now + 5, alarm_id=pending.alarm_id)
    for event in (cancelled, pending):
        await intake.accept(GATEWAY, event)
    clock.now += 100
    await run_timers(context)
    assert await rows_of(context, incidents) == []
    (row,) = await rows_of(context, alarms)
    assert row["state"] == "cancelled_by_resident"


async def test_cancel_after_raise_waits_for_a_human(context: Context, clock: ManualClock) -> None:
    """An incident whose alarm the resident cancels stays open and shows that the condition has ended."""
    await settle(context)
    intake = AlarmIntake(context)
    raised = alarm(AlarmState.RAISED, 1, clock.now)
    cancelled = alarm(AlarmState.CANCELLED_BY_RESIDENT, 2, clock.now, alarm_id=raised.alarm_id)
    for event in (cancelled, raised):  # out of order
        await intake.accept(GATEWAY, event)
    found = await the_incident(context)
    assert found["state"] == "new"
    assert found["condition_cleared_at"] is not None


@pytest.mark.parametrize("synced", [True, False])
async def test_wrong_clock_in_the_home(context: Context, clock: ManualClock, synced: bool) -> None:
    """A gateway whose clock is years off gets exactly its question's length."""
    await settle(context)
    event = alarm(AlarmState.PENDING, 1, clock.now - 3e7, decide_in_s=20)
    await AlarmIntake(context).accept(GATEWAY, event)
    (timer,) = await rows_of(context, timers, timers.c.kind == "raise_pending")
    assert timer["due_at"] == pytest.approx(clock.now + 25)


async def test_later_alarms_attach(context: Context, clock: ManualClock) -> None:
    """One open incident per home: the highest priority counts, and a resolved incident opens again."""
    await settle(context)
    found = await raise_alarm(context, clock, 1, kind=AlarmKind.VITALS, priority=Priority.MEDIUM)
    assert (found["kind"], found["priority"]) == ("vitals", "medium")
    found = await raise_alarm(context, clock, 2, kind=AlarmKind.SOS)
    assert (found["kind"], found["priority"], found["alarm_count"]) == ("sos", "high", 2)
    await actions.claim(context, ME, found["id"], found["version"])
    await actions.resolve(context, ME, found["id"], (await the_incident(context))["version"])
    found = await raise_alarm(context, clock, 3, kind=AlarmKind.FALL)
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
    assert len(await rows_of(context, incidents)) == 1


async def test_technical_incidents(context: Context, clock: ManualClock) -> None:
    """One per home and cause; one that mends itself before anybody looked closes itself."""
    await settle(context)
    async with context.work() as work:
        assert await open_technical(work, HOME, "gateway_offline", "system")
        assert not await open_technical(work, HOME, "gateway_offline", "system")
        assert await open_technical(work, HOME, "sensor_silent:pir", "system")
    async with context.work() as work:
        assert await clear_technical(work, HOME, "gateway_offline", "system")
    assert (await the_incident(context))["cause"] == "sensor_silent:pir"
    assert (await the_incident(context, "closed"))["outcome"] == "technical_fixed"


async def test_technical_alarm_of_a_gateway(context: Context, clock: ManualClock) -> None:
    """A fault in the home is one technical incident per cause and device; its end closes it; an older event that comes
    late opens nothing; no life incident, and nobody's telephone rings.
    """
    await settle(context)
    intake = AlarmIntake(context)
    raised = alarm(AlarmState.RAISED, 1, clock.now, kind=AlarmKind.TECHNICAL, priority=Priority.LOW)
    raised = msgspec.structs.replace(raised, reason="sensor_battery", evidence=[])
    cleared = msgspec.structs.replace(raised, seq=2, state=AlarmState.CLEARED)
    assert await intake.accept(GATEWAY, raised)
    opened = await the_incident(context)
    assert (opened["class"], opened["cause"]) == ("technical", "sensor_battery:wrist-1")
    assert await intake.accept(GATEWAY, cleared)
    assert (await the_incident(context, "closed"))["outcome"] == "technical_fixed"
    later = msgspec.structs.replace(cleared, seq=4, alarm_id=alarm(AlarmState.RAISED, 3, clock.now).alarm_id)
    assert await intake.accept(GATEWAY, later)
    assert await intake.accept(GATEWAY, msgspec.structs.replace(later, seq=3, state=AlarmState.RAISED))
    assert len(await rows_of(context, incidents)) == 1
    assert await rows_of(context, outbox) == []


async def test_auditor_mends_what_lost_its_timer(context: Context, clock: ManualClock) -> None:
    """An incident or a pending alarm without a timer gets one, and the log says so."""
    await settle(context)
    await raise_alarm(context, clock)
    await AlarmIntake(context).accept("gw-n001", alarm(AlarmState.PENDING, 1, clock.now))
    counts: Counter[str] = Counter()
    assert await audit(context, counts) == 0
    async with context.work() as work:
        await work.run(update(timers).values(state="cancelled"))
    assert await audit(context, counts) == 2
    assert await audit(context, counts) == 0
    assert counts["audit_repaired"] == 2
    assert await rows_of(context, incident_events, incident_events.c.kind == "audit_repaired")


async def test_timers_run_once_by_many_workers(context: Context, clock: ManualClock) -> None:
    """Workers that share a database run each timer once."""
    await settle(context, light_homes=12)
    for i in range(1, 13):
        await AlarmIntake(context).accept(f"gw-n{i:03d}", alarm(AlarmState.PENDING, 1, clock.now))
    clock.now += 60
    await asyncio.gather(*(run_timers(context) for _ in range(4)))
    assert len(await rows_of(context, incidents)) == 12
    told = Counter(r["recipient"] for r in await rows_of(context, outbox))
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


async def test_evidence_of_later_events_joins(context: Context, clock: ManualClock) -> None:
    """A further event of the same alarm adds its evidence, repeats none, and neither reopens nor doubles anything."""
    await settle(context)
    intake = AlarmIntake(context)
    pieces = [Evidence(detector=d, device=d, at=clock.now, reason="seen") for d in ("fall", "mmwave", "bed")]
    pending = msgspec.structs.replace(alarm(AlarmState.PENDING, 1, clock.now, decide_in_s=20), evidence=pieces[:1])
    await intake.accept(GATEWAY, pending)
    await intake.accept(GATEWAY, msgspec.structs.replace(pending, seq=2, evidence=pieces[:2]))
    assert len([row for row in await rows_of(context, timers) if row["state"] == "waiting"]) == 1
    raised = msgspec.structs.replace(pending, seq=3, state=AlarmState.ESCALATED, evidence=pieces[:2])
    await intake.accept(GATEWAY, raised)
    await intake.accept(GATEWAY, msgspec.structs.replace(raised, seq=4, evidence=pieces))
    (row,) = await rows_of(context, alarms)
    assert [e["device"] for e in row["evidence"]] == ["fall", "mmwave", "bed"]
    assert "alarm_escalated" not in [e["kind"] for e in await rows_of(context, incident_events)]


async def test_who_was_told_by_the_home_is_in_the_log_once(context: Context, clock: ManualClock) -> None:
    """Events repeat all who were told so far; the incident's log names each of them once."""
    await settle(context)
    intake = AlarmIntake(context)
    told = [Told(who, "http_sms", clock.now, TellOutcome.SENT) for who in ("…0001", "…0002")]
    raised = msgspec.structs.replace(alarm(AlarmState.RAISED, 1, clock.now), told=told[:1])
    await intake.accept(GATEWAY, raised)
    over = Told("…0001", "modem_sms", clock.now, TellOutcome.UNKNOWN, ToldWhat.STAND_DOWN)
    await intake.accept(GATEWAY, msgspec.structs.replace(raised, seq=2, told=[*told, over]))
    log = [e["data"]["text"] for e in await rows_of(context, incident_events) if e["kind"] == "told_by_home"]
    assert log == ["…0001 (http_sms: sent)", "…0002 (http_sms: sent)", "…0001 (stand_down, modem_sms: unknown)"]
    incident = (await the_incident(context))["id"]
    async with context.look() as work:
        detail = await incident_detail(work, incident)
    assert detail is not None
    shown = [
        (e["text"], e["told"]["channel"], e["told"]["what"], e["told"]["outcome"])
        for e in detail["events"]
        if e["told"]
    ]
    assert shown == [
        ("…0001", "http_sms", "alarm", "sent"),
        ("…0002", "http_sms", "alarm", "sent"),
        ("…0001", "modem_sms", "stand_down", "unknown"),
    ]
