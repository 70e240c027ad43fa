"""Silence, absence, areas, statuses, the platform itself, and time without protection; on both databases."""

from __future__ import annotations

import asyncio
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from cloud.context import Context
from cloud.db.schema import gateways, homes, incidents, ledger, outages
from cloud.incidents.intake import AlarmIntake
from cloud.incidents.queries import incident_detail
from cloud.ingest.ledger import merge
from cloud.registry.importer import import_registry
from cloud.registry.models import Registry
from cloud.rollup.windows import month_begin
from cloud.supervision import unprotected
from cloud.supervision.outages import homes_of, supervise
from cloud.supervision.platform import Heartbeat
from cloud.supervision.status import Heard, StatusIntake
from firmware_sim.fleet.registry import fleet_registry
from protocols.wire import AlarmState, Clock, SensorStatus, SpoolStatus, Status, StatusKind
from tests.conftest import ManualClock
from tests.support.district import GATEWAY, HOME, alarm, settle
from tests.support.incidents import rows_of


class Fleet:
    """Says statuses for gateways."""

    def __init__(self, context: Context, clock: ManualClock) -> None:
        self.intake = StatusIntake(context)
        self.clock = clock

    async def say(self, kind: StatusKind, *numbers: int, session: str = "s", **more: Any) -> None:
        """A status of each gateway of the fleet."""
        status = Status(v=1, kind=kind, session=session, at=self.clock.now, clock=Clock.SYNCED, **more)
        await self.intake.accept([Heard(f"gw-f{n:06d}", f"h-f{n:06d}", status, False) for n in numbers])


async def _fleet(context: Context, clock: ManualClock, size: int) -> Fleet:
    await import_registry(context, Registry.model_validate(fleet_registry(size)))
    fleet = Fleet(context, clock)
    await fleet.say(StatusKind.BIRTH, *range(size))
    return fleet


async def _causes(context: Context, state: str = "open") -> list[str]:
    rows = [r for r in await rows_of(context, incidents) if r["class"] == "technical"]
    return sorted(r["cause"] for r in rows if (r["state"] == "closed") == (state == "closed"))


async def test_one_gateway_leaves_and_returns(context: Context, clock: ManualClock) -> None:
    """The will of the present session counts after its grace; an older session's says nothing; the return clears."""
    fleet = await _fleet(context, clock, 30)
    await fleet.say(StatusKind.WILL, 3, session="older")
    clock.now += 61
    assert await supervise(context) == 0
    await fleet.say(StatusKind.WILL, 3)
    clock.now += 59
    assert await supervise(context) == 0
    clock.now += 2
    assert await supervise(context) == 1
    assert await supervise(context) == 0
    assert await _causes(context) == ["gateway_offline"]
    await fleet.say(StatusKind.BIRTH, 3, session="t")
    assert (await _causes(context), await _causes(context, "closed")) == ([], ["gateway_offline"])


async def test_silence_is_broken_by_data_too(context: Context, clock: ManualClock) -> None:
    """Without a heartbeat for too long a gateway is silent, unless its batches still arrive."""
    fleet = await _fleet(context, clock, 30)
    clock.now += 2_690
    await fleet.say(StatusKind.HEARTBEAT, *range(3, 30))
    async with context.work() as work:
        await merge(work, {("gw-f000001", "a" * 16, "live"): [(1, 5)]})
    clock.now += 20
    assert await supervise(context) == 2
    found = await rows_of(context, incidents)
    assert sorted((r["home_id"], r["cause"]) for r in found) == [
        ("h-f000000", "gateway_silent"),
        ("h-f000002", "gateway_silent"),
    ]
    await fleet.say(StatusKind.HEARTBEAT, 0)
    assert len(await _causes(context)) == 1


async def test_data_that_arrives_while_the_alarm_fires(context: Context, clock: ManualClock) -> None:
    """The return and the supervisor at the same moment: whoever is first, nothing stays open."""
    fleet = await _fleet(context, clock, 30)
    for _ in range(8):
        await fleet.say(StatusKind.WILL, 1, 2, 3)
        clock.now += 100
        await asyncio.gather(supervise(context), fleet.say(StatusKind.BIRTH, 1, 2, 3), supervise(context))
        await supervise(context)
        assert await _causes(context) == []


async def test_an_area_goes_out_as_one(context: Context, clock: ManualClock) -> None:
    """Many homes of a sub-district within minutes are one incident that lists them; a life alarm stays its own."""
    fleet = await _fleet(context, clock, 300)
    await settle(context)
    async with context.look() as look:
        area = (await look.one(homes.select().where(homes.c.id == "h-f000000")) or {})["sub_district"]
    await fleet.say(StatusKind.WILL, 299)  # elsewhere, alone
    await fleet.say(StatusKind.WILL, *range(6))
    clock.now += 65
    await supervise(context)
    assert await _causes(context) == ["gateway_offline"] * 7
    await fleet.say(StatusKind.WILL, *range(6, 25))
    await AlarmIntake(context).accept(GATEWAY, alarm(AlarmState.RAISED, 1, clock.now))
    await supervise(context)
    assert await _causes(context) == [f"area_outage:{area}", "gateway_offline"]
    (outage,) = await rows_of(context, outages)
    async with context.look() as look:
        listed = await homes_of(look, outage["incident_id"])
    assert [h["id"] for h in listed] == [f"h-f{n:06d}" for n in range(25)]
    life = [r for r in await rows_of(context, incidents) if r["class"] == "life"]
    assert [(r["home_id"], r["priority"]) for r in life] == [(HOME, "high")]
    clock.now += 30
    await fleet.say(StatusKind.WILL, 25)  # joins while it lasts, without a grace
    await supervise(context)
    async with context.look() as look:
        assert len(await homes_of(look, outage["incident_id"])) == 26
        shown = await incident_detail(look, outage["incident_id"])
    assert shown is not None
    assert [e["text"] for e in shown["events"] if e["kind"] == "outage_grew"] == ["25", "26"]
    clock.now += 600
    await fleet.say(StatusKind.BIRTH, *range(24), session="t")
    await supervise(context)
    assert f"area_outage:{area}" in await _causes(context)
    clock.now += 121  # no more come back: the two left are on their own
    await supervise(context)
    await supervise(context)
    assert await _causes(context) == ["gateway_offline"] * 3
    await fleet.say(StatusKind.BIRTH, 24, 25, 299, session="t")
    assert await _causes(context) == []


async def test_statuses_open_and_clear_conditions(context: Context, clock: ManualClock) -> None:
    """Silent and empty sensors, a wrong clock, a filling spool, mains: one incident each, gone with their cause."""
    fleet = await _fleet(context, clock, 3)
    sensors = [
        SensorStatus(device="pir-1", last_at=clock.now - 1000, interval_s=60.0),
        SensorStatus(device="door-1", last_at=clock.now, interval_s=600.0, battery_percent=4.0),
    ]
    spool = SpoolStatus(depth={}, size_bytes=90, limit_bytes=100)
    await fleet.say(StatusKind.HEARTBEAT, 1, sensors=sensors, spool=spool, mains=False)
    wrong = ["mains_lost", "sensor_battery:door-1", "sensor_silent:pir-1", "spool_filling"]
    assert await _causes(context) == wrong
    again = Fleet(context, clock)  # another worker, which has to look at what is open
    await again.say(StatusKind.HEARTBEAT, 1, sensors=sensors, spool=spool, mains=False)
    assert await _causes(context) == wrong
    await again.say(StatusKind.HEARTBEAT, 1, mains=True)
    assert await _causes(context) == []
    clock.now += 500
    late = Status(v=1, kind=StatusKind.HEARTBEAT, session="s", at=clock.now - 400, clock=Clock.SYNCED)
    await again.intake.accept([Heard("gw-f000002", "h-f000002", late, True)])
    assert await _causes(context) == []
    await again.intake.accept([Heard("gw-f000002", "h-f000002", late, False)])
    assert await _causes(context) == ["clock_wrong"]


async def test_many_statuses_of_one_gateway_keep_their_order(context: Context, clock: ManualClock) -> None:
    """Birth, will and birth again in one go end online; strangers among them cost nothing."""
    fleet = await _fleet(context, clock, 2)

    def heard(kind: StatusKind, session: str, gateway: str = "gw-f000001") -> Heard:
        return Heard(gateway, "h-f000001", Status(v=1, kind=kind, session=session, at=clock.now), False)

    await fleet.intake.accept(
        [
            heard(StatusKind.BIRTH, "b"),
            heard(StatusKind.BIRTH, "x", "gw-stranger"),
            heard(StatusKind.WILL, "b"),
            heard(StatusKind.BIRTH, "c"),
            heard(StatusKind.WILL, "b"),
        ]
    )
    (row,) = await rows_of(context, gateways, gateways.c.id == "gw-f000001")
    assert (row["online"], row["session"], row["offline_since"]) == (True, "c", None)
    assert row["status"]["session"] == "c"


async def test_unprotected_minutes(context: Context, clock: ManualClock) -> None:
    """From the absence to the return, split at the local month's end, with those still away counted until now."""
    clock.now = month_begin("2026-12", ZoneInfo("Asia/Shanghai")) - 1_800
    fleet = await _fleet(context, clock, 5)
    await fleet.say(StatusKind.WILL, 1, 2)
    clock.now += 3_600
    await fleet.say(StatusKind.BIRTH, 1, session="t")
    async with context.look() as look:
        november = await unprotected.report(look, "2026-11")
        december = await unprotected.report(look, "2026-12")
        with pytest.raises(ValueError, match="13"):
            await unprotected.report(look, "2026-13")
    assert [(r["home_id"], r["minutes"]) for r in november] == [("h-f000001", 30.0), ("h-f000002", 30.0)]
    assert [(r["home_id"], r["minutes"]) for r in december] == [("h-f000001", 30.0), ("h-f000002", 30.0)]
    clock.now += 600
    async with context.look() as look:
        later = await unprotected.report(look, "2026-12")
    assert {r["home_id"]: r["minutes"] for r in later} == {"h-f000002": 40.0, "h-f000001": 30.0}


async def test_the_platform_watches_itself(context: Context, clock: ManualClock) -> None:
    """A role that nobody fills, and a store that a worker cannot reach, are incidents that clear by themselves."""
    await settle(context)
    ingest, other = Heartbeat(context, ["telemetry"]), Heartbeat(context, ["dispatch"])
    await ingest.beat(["timeseries_unavailable"])
    await other.beat([])
    await supervise(context)
    assert await _causes(context) == ["timeseries_unavailable"]
    await ingest.beat([])
    await supervise(context)
    assert await _causes(context) == []
    clock.now += 61
    await other.beat([])
    await supervise(context)
    assert await _causes(context) == ["role_down:telemetry"]
    replacement = Heartbeat(context, ["telemetry"])
    await replacement.beat([])
    await supervise(context)
    assert await _causes(context) == []
    await replacement.beat([], stopped=True)
    await other.beat([])
    await supervise(context)
    assert await _causes(context) == []  # a restart is no incident
    clock.now += 61
    await other.beat([])
    await supervise(context)
    assert await _causes(context) == ["role_down:telemetry"]


async def test_a_process_of_an_earlier_version_ran_both_halves_of_ingest(context: Context, clock: ManualClock) -> None:
    """Its row is no role of its own that would be missed after the upgrade."""
    await settle(context)
    await Heartbeat(context, ["ingest"]).beat([], stopped=True)
    clock.now += 61
    await Heartbeat(context, ["alarms", "telemetry"]).beat([])
    await supervise(context)
    assert await _causes(context) == []


async def test_revoked_gateways_are_nobodys_worry(context: Context, clock: ManualClock) -> None:
    """A revoked gateway is neither silent nor absent."""
    await _fleet(context, clock, 3)
    async with context.work() as work:
        await work.run(update(gateways).values(revoked_at=clock.now))
    clock.now += 10_000
    assert await supervise(context) == 0
    assert await rows_of(context, incidents) == []
    assert await rows_of(context, ledger) == []
