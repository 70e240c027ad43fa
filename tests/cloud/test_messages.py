"""The outbox: every message leaves once, is tried again by plan, and a failure moves the ladder."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from cloud.context import Context
from cloud.db.schema import incident_events, outbox, timers
from cloud.dispatch.messages import MessageSender
from cloud.dispatch.timers import run_due
from cloud.incidents.intake import AlarmIntake
from cloud.notify.webhook import Outcome, SmsSender
from protocols.wire import AlarmState
from tests.conftest import ManualClock
from tests.support.district import GATEWAY, alarm, settle


class ScriptedSms(SmsSender):
    """Answers as told and remembers what it was given."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        self.outcomes = outcomes
        self.sent: list[tuple[str, str]] = []

    async def send(self, message_id: str, data: dict[str, Any], now: float) -> Outcome:
        """Take one."""
        self.sent.append((message_id, data["to"]))
        await asyncio.sleep(0.01)
        return self.outcomes.pop(0) if self.outcomes else Outcome(True)


async def _alarm(context: Context, clock: ManualClock) -> None:
    await settle(context)
    await AlarmIntake(context).accept(GATEWAY, alarm(AlarmState.RAISED, 1, clock.now))
    while await run_due(context):
        pass


async def _states(context: Context) -> list[str]:
    async with context.look() as work:
        return sorted(row["state"] for row in await work.all(select(outbox.c.state)))


async def test_workers_share_the_outbox(context: Context, clock: ManualClock) -> None:
    """Four senders at once: each message goes out once."""
    await _alarm(context, clock)
    sms = ScriptedSms([])
    await asyncio.gather(*(MessageSender(context, sms).send_due() for _ in range(4)))
    assert len(sms.sent) == len(set(sms.sent)) == 2
    assert await _states(context) == ["sent", "sent"]


async def test_retry_plan_then_failure_moves_the_ladder(context: Context, clock: ManualClock) -> None:
    """Six tries with one id after 0, 2, 5, 15, 30 and 60 s; then it has failed, and the supervisor is told at once."""
    await _alarm(context, clock)
    sms = ScriptedSms([Outcome(False, "503")] * 100)
    sender = MessageSender(context, sms)
    began, tries = clock.now, []
    while clock.now < began + 50:
        if await sender.send_due():
            tries.append(clock.now - began)
        clock.now += 0.5
    assert tries[:4] == [0.0, 2.0, 7.0, 22.0]
    assert len({message for message, _ in sms.sent}) == 2
    for _ in range(2):
        clock.now += 61
        await sender.send_due()
    assert await _states(context) == ["failed", "failed"]
    async with context.look() as work:
        events = [row["kind"] for row in await work.all(select(incident_events.c.kind))]
        (ladder,) = await work.all(select(timers).where(timers.c.kind == "ladder", timers.c.state == "waiting"))
    assert events.count("message_failed") == 2
    assert ladder["due_at"] <= clock.now


async def test_retry_after_and_gone(context: Context, clock: ManualClock) -> None:
    """A receiver's wish to wait is honoured; 410 stops everything until it is configured anew."""
    await _alarm(context, clock)
    sms = ScriptedSms([Outcome(False, "429", retry_after_s=40.0)] * 2)
    sender = MessageSender(context, sms)
    await sender.send_due()
    clock.now += 39
    assert await sender.send_due() == 0
    clock.now += 2
    sms.outcomes = [Outcome(False, "410", disabled=True)] * 2
    assert await sender.send_due() == 2
    assert sender.disabled
    tried = len(sms.sent)
    clock.now += 61
    while await run_due(context):
        pass
    assert await sender.send_due() == 1  # the supervisor's message fails at once and visibly
    assert len(sms.sent) == tried
    assert await _states(context) == ["failed"] * 3


async def test_a_crash_between_sending_and_noting(context: Context, clock: ManualClock) -> None:
    """A sender that dies with leased messages: another sends them after the lease, under the same ids."""
    await _alarm(context, clock)

    class Dies(ScriptedSms):
        async def send(self, message_id: str, data: dict[str, Any], now: float) -> Outcome:
            self.sent.append((message_id, data["to"]))
            raise asyncio.CancelledError

    first = Dies([])
    try:
        await MessageSender(context, first).send_due()
    except asyncio.CancelledError:
        pass
    second = ScriptedSms([])
    assert await MessageSender(context, second).send_due() == 0
    later = replace(context, now=ManualClock(clock.now + 31))
    assert await MessageSender(later, second).send_due() == 2
    assert {m for m, _ in second.sent} >= {m for m, _ in first.sent}
