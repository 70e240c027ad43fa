"""The alarm that simulated gateways raise by themselves."""

from __future__ import annotations

from protocols.wire import AlarmEvent, AlarmKind, AlarmState, Clock, Priority


def sos_event(alarm_id: str, epoch: str, seq: int, now: float) -> AlarmEvent:
    """A press of the SOS button, raised at `now` (Unix seconds)."""
    return AlarmEvent(
        v=1,
        alarm_id=alarm_id,
        epoch=epoch,
        seq=seq,
        kind=AlarmKind.SOS,
        priority=Priority.HIGH,
        state=AlarmState.RAISED,
        at=now,
        clock=Clock.SYNCED,
        reason="button_pressed",
        sent=now,
        changed_at=now,
        device="sos-1",
        room="living_room",
    )
