"""A small invented district in a context's database, and alarm events from it."""

from __future__ import annotations

import random

from cloud.context import Context
from cloud.registry.importer import import_registry
from cloud.registry.models import Registry
from firmware_sim.demo.registry import make_registry
from protocols.identifiers import uuid7
from protocols.wire import AlarmEvent, AlarmKind, AlarmState, Clock, Evidence, Excerpt, Priority

EPOCH = "00000000000000aa"
HOME, GATEWAY = "h-demo", "gw-demo"
PASSWORD = "eight-characters"
_rng = random.Random(7)


async def settle(context: Context, light_homes: int = 2) -> Registry:
    """Import the demo's registry."""
    registry = Registry.model_validate(make_registry(light_homes, PASSWORD))
    await import_registry(context, registry)
    return registry


def alarm(
    state: AlarmState,
    seq: int,
    now: float,
    *,
    alarm_id: str | None = None,
    kind: AlarmKind = AlarmKind.FALL,
    priority: Priority = Priority.HIGH,
    decide_in_s: float = 20.0,
) -> AlarmEvent:
    """An alarm event sent at `now`."""
    excerpt = Excerpt(at=now - 2, rate_hz=50.0, unit="g", channels=["ax", "ay", "az"], samples=[[0.0, 0.0, 1.0]] * 3)
    evidence = Evidence(
        detector="fall_wrist", device="wrist-1", at=now, reason="x", numbers={"a": 1.0}, excerpt=excerpt
    )
    return AlarmEvent(
        v=1,
        alarm_id=alarm_id or uuid7(now, _rng),
        epoch=EPOCH,
        seq=seq,
        kind=kind,
        priority=priority,
        state=state,
        at=now,
        clock=Clock.SYNCED,
        reason="x",
        sent=now,
        changed_at=now,
        device="wrist-1",
        room="bathroom",
        evidence=[evidence],
        decide_by=now + decide_in_s if state is AlarmState.PENDING else None,
    )
