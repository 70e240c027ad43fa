"""What a further alarm, more evidence, an unusual number and a sensor that cries do to incidents, on both databases."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from cloud.context import Context
from cloud.db.schema import alarms, commands, incident_events, outbox, timers
from cloud.dispatch.auditor import audit
from cloud.incidents import actions
from cloud.incidents.cries import CAUSE, CRIES
from cloud.incidents.intake import AlarmIntake
from cloud.incidents.queries import incident_detail, list_incidents
from cloud.incidents.states import Outcome
from cloud.incidents.store import NotAllowedError
from cloud.supervision.status import Heard, StatusIntake
from protocols.faults import TEST
from protocols.wire import (
    MAX_STOOD_DOWN,
    AlarmEvent,
    AlarmKind,
    AlarmState,
    Clock,
    Evidence,
    Priority,
    Progress,
    ProgressStage,
    Status,
    StatusKind,
    decode_command,
)
from tests.conftest import ManualClock
from tests.support.district import GATEWAY, HOME, alarm, settle
from tests.support.incidents import ME, raise_alarm, rows_of, run_timers, the_incident


async def _log(context: Context) -> list[tuple[str, str | None]]:
    rows = await rows_of(context, incident_events)
    return [(row["kind"], row["data"].get("kind")) for row in sorted(rows, key=lambda r: r["position"])]


async def _ladder(context: Context) -> dict[str, Any]:
    (row,) = await rows_of(context, timers, timers.c.kind == "ladder", timers.c.state == "waiting")
    return row


async def test_a_second_fall_is_seen_by_who_works_on_the_first(context: Context, clock: ManualClock) -> None:
    """It stands in the log and counts; the operator's version is out of date; a resolved incident is open again."""
    await settle(context)
    first = await raise_alarm(context, clock, 1)
    await actions.claim(context, ME, first["id"], first["version"])
    claimed = await the_incident(context)
    await _working(context, clock, first["id"])
    second = await raise_alarm(context, clock, 2)
    assert (second["id"], second["alarm_count"], second["claimed_by"]["id"]) == (first["id"], 2, ME.user_id)
    assert second["version"] > claimed["version"]
    assert (await _log(context))[-1] == ("alarm_attached", "fall")
    async with context.look() as work:
        detail = await incident_detail(work, first["id"])
    assert detail is not None
    assert detail["events"][-1]["text"] == "fall"
    await actions.resolve(context, ME, first["id"], second["version"])
    await _working(context, clock, first["id"])
    assert (await raise_alarm(context, clock, 3))["state"] == "claimed"


async def _working(context: Context, clock: ManualClock, incident: str) -> None:
    """Twenty minutes in which the operator keeps the incident."""
    for _ in range(24):
        clock.now += 50
        await actions.renew(context, ME, incident)
        await run_timers(context)


async def test_a_further_alarm_renews_an_escalation_that_has_ended(context: Context, clock: ManualClock) -> None:
    """Nobody has claimed the first fall for twenty minutes; after the second the ladder is climbed once more."""
    await settle(context)
    await raise_alarm(context, clock, 1)
    for _ in range(4):
        clock.now += 300
        await run_timers(context)
    told = len(await rows_of(context, outbox, outbox.c.template == "supervisor_alarm"))
    clock.now += 10
    await raise_alarm(context, clock, 2)
    assert (await _ladder(context))["data"]["since"] == clock.now
    clock.now += 60
    await run_timers(context)
    assert len(await rows_of(context, outbox, outbox.c.template == "supervisor_alarm")) > told


async def test_a_row_of_alarms_does_not_put_off_the_supervisors(context: Context, clock: ManualClock) -> None:
    """The ladder of the first alarm goes on at its own times, whatever comes meanwhile."""
    await settle(context)
    await raise_alarm(context, clock, 1)
    due = (await _ladder(context))["due_at"]
    for seq, kind in enumerate((AlarmKind.SOS, AlarmKind.BED_EXIT, AlarmKind.SMOKE), 2):
        clock.now += 15
        await raise_alarm(context, clock, seq, kind=kind)
        assert (await _ladder(context))["due_at"] == due
    clock.now += 15
    await run_timers(context)
    assert await rows_of(context, outbox, outbox.c.template == "supervisor_alarm")


async def test_a_higher_priority_begins_its_own_ladder(context: Context, clock: ManualClock) -> None:
    """A notice that nobody had to be rung for becomes a danger: the family is told at once."""
    await settle(context)
    await raise_alarm(context, clock, 1, kind=AlarmKind.HEAT, priority=Priority.LOW)
    assert await rows_of(context, outbox) == []
    clock.now += 100
    await raise_alarm(context, clock, 2)
    assert await rows_of(context, outbox, outbox.c.template == "contact_alarm")


def _more(event: AlarmEvent, seq: int, *devices: str, **changed: Any) -> AlarmEvent:
    pieces = [Evidence(detector="seen", device=device, at=event.at, reason="x") for device in devices]
    return msgspec.structs.replace(event, seq=seq, evidence=[*event.evidence, *pieces], **changed)


async def test_more_evidence_is_told_once(context: Context, clock: ManualClock) -> None:
    """What another sensor saw stands in the log of the open incident; the same again, or late, is no news."""
    await settle(context)
    intake, first = AlarmIntake(context), alarm(AlarmState.RAISED, 1, clock.now)
    await intake.accept(GATEWAY, first)
    known = (await the_incident(context))["version"]
    for seq, devices in ((2, ("radar",)), (3, ("radar",)), (4, ("radar", "bed"))):
        await intake.accept(GATEWAY, _more(first, seq, *devices))
    assert [kind for kind, _ in await _log(context)] == ["opened", "alarm_evidence", "alarm_evidence"]
    assert (await the_incident(context))["version"] == known + 2


async def test_an_escalated_alarm_that_grows_worse(context: Context, clock: ManualClock) -> None:
    """Its incident has the new priority, and the log says so."""
    await settle(context)
    intake = AlarmIntake(context)
    first = alarm(AlarmState.ESCALATED, 1, clock.now, kind=AlarmKind.VITALS, priority=Priority.MEDIUM)
    await intake.accept(GATEWAY, first)
    await intake.accept(GATEWAY, _more(first, 2, priority=Priority.HIGH))
    assert (await the_incident(context))["priority"] == "high"
    assert (await _log(context))[-1] == ("alarm_escalated", "vitals")


def _unusual(seq: int, now: float, state: AlarmState, alarm_id: str | None = None) -> AlarmEvent:
    event = alarm(state, seq, now, kind=AlarmKind.UNUSUAL, priority=Priority.LOW, alarm_id=alarm_id)
    numbers = {"power": 400.0, "usual": 60.0, "score": 0.7}
    piece = Evidence(detector="unusual_power", device="plug", at=now, reason="unusual_value", numbers=numbers)
    return msgspec.structs.replace(event, device="plug", reason="unusual_value", evidence=[piece])


async def test_an_unusual_number_is_a_notice(context: Context, clock: ManualClock) -> None:
    """It stands among the devices with its evidence, opens and joins no life incident, rings nobody for as long as it
    is there, says nothing in the home however it is dealt with, and ends by itself.
    """
    await settle(context)
    intake, told = AlarmIntake(context), _unusual(1, clock.now, AlarmState.RAISED)
    await intake.accept(GATEWAY, told)
    found = await the_incident(context)
    assert (found["class"], found["kind"], found["cause"], found["priority"]) == (
        "technical", "unusual", "unusual_value:plug", "low",
    )  # fmt: skip
    async with context.look() as work:
        detail = await incident_detail(work, found["id"])
    assert detail is not None
    assert [e["numbers"]["power"] for a in detail["alarms"] for e in a["evidence"]] == [400.0]
    for _ in range(20):
        clock.now += 400
        await run_timers(context)
    assert await rows_of(context, outbox) == []
    assert await audit(context, Counter()) == 0, "its timer goes on, so that nothing is to be mended"
    assert await _log(context) == [("opened", "unusual")]
    await actions.claim(context, ME, found["id"], found["version"])
    with pytest.raises(NotAllowedError, match="life"):
        await actions.dispatch(context, ME, found["id"], (await the_incident(context))["version"], "r-1")
    await actions.release(context, ME, found["id"], (await the_incident(context))["version"])
    await intake.accept(GATEWAY, _unusual(2, clock.now, AlarmState.CLEARED, told.alarm_id))
    assert (await the_incident(context, "closed"))["outcome"] == "technical_fixed"
    assert await rows_of(context, commands) == []
    assert [row["state"] for row in await rows_of(context, alarms)] == ["cleared"]
    await intake.accept(GATEWAY, _unusual(3, clock.now, AlarmState.RAISED))
    beside = await _fall_beside(context, clock)
    assert (beside["class"], beside["alarm_count"]) == ("life", 1)


async def _fall_beside(context: Context, clock: ManualClock) -> dict[str, Any]:
    """A fall while a notice is open: the incident that is not the notice's."""
    await AlarmIntake(context).accept(GATEWAY, alarm(AlarmState.RAISED, 9, clock.now))
    (row,) = await rows_of(context, alarms, alarms.c.kind == "fall")
    async with context.look() as work:
        found = await incident_detail(work, row["incident_id"])
    assert found is not None
    return found


async def test_a_sensor_that_cries_is_reported_by_what_operators_found(context: Context, clock: ManualClock) -> None:
    """Four incidents of one device closed as false within a week are its fault, once; real ones do not count."""
    await settle(context)
    for n in range(CRIES + 1):
        found = await raise_alarm(context, clock, n + 1)
        assert found["class"] == "life"
        await actions.claim(context, ME, found["id"], found["version"])
        outcome = Outcome.REAL_FALL if n == 0 else Outcome.FALSE_ALARM
        await actions.close(context, ME, found["id"], (await the_incident(context))["version"], outcome, "")
        clock.now += 86_400
    (fault,) = [await the_incident(context)]
    assert (fault["class"], fault["cause"]) == ("technical", f"{CAUSE}:wrist-1")
    well = Status(v=1, kind=StatusKind.HEARTBEAT, session="s", at=clock.now, clock=Clock.SYNCED, faults=[])
    await StatusIntake(context).accept([Heard(GATEWAY, HOME, well, retained=False)])
    assert (await the_incident(context))["cause"] == fault["cause"], "a status of the home does not end it"


async def test_closing_a_test_stands_down_the_test_alone(context: Context, clock: ManualClock) -> None:
    """The command names the test's alarm: one that names none would mean the fall beside it too."""
    await settle(context)
    fall = await raise_alarm(context, clock, 1)
    test = alarm(AlarmState.RAISED, 2, clock.now, kind=AlarmKind.TECHNICAL, priority=Priority.LOW)
    await AlarmIntake(context).accept(GATEWAY, msgspec.structs.replace(test, reason=TEST, device="gateway"))
    async with context.look() as work:
        (found,) = (i for i in await list_incidents(work, state="open") if i["id"] != fall["id"])
    await actions.claim(context, ME, found["id"], found["version"])
    async with context.look() as work:
        (found,) = (i for i in await list_incidents(work, state="open") if i["id"] != fall["id"])
    await actions.close(context, ME, found["id"], found["version"], Outcome.TEST, "")
    sent = [decode_command(bytes(row["payload"])) for row in await rows_of(context, commands)]
    (down,) = (c for c in sent if isinstance(c, Progress) and c.stage is ProgressStage.STOOD_DOWN)
    assert down.alarm_ids == (test.alarm_id,)
    assert (await the_incident(context))["id"] == fall["id"]


async def test_closing_stands_down_what_still_goes_on(context: Context, clock: ManualClock) -> None:
    """Of more alarms than a command can name, one that is still raised is named, however many came and ended later."""
    await settle(context)
    found = await raise_alarm(context, clock, 1)
    (going_on,) = await rows_of(context, alarms)
    ended = [
        going_on
        | {
            "alarm_id": f"{i:08x}-0000-7000-8000-000000000000",
            "state": AlarmState.CLEARED,
            "received_at": clock.now + i,
        }
        for i in range(1, MAX_STOOD_DOWN + 2)
    ]
    async with context.work() as work:
        await work.run(alarms.insert().values(ended))
    await actions.claim(context, ME, found["id"], (await the_incident(context))["version"])
    await actions.close(context, ME, found["id"], (await the_incident(context))["version"], Outcome.REAL_FALL, "")
    sent = [decode_command(bytes(row["payload"])) for row in await rows_of(context, commands)]
    (down,) = (c for c in sent if isinstance(c, Progress) and c.stage is ProgressStage.STOOD_DOWN)
    assert len(down.alarm_ids) == MAX_STOOD_DOWN
    assert going_on["alarm_id"] in down.alarm_ids
