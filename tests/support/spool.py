"""Alarms and batches as the pipeline stores them, for tests of the spool."""

from __future__ import annotations

from collections.abc import Callable

from edge.messages import batch
from edge.spool.store import Drained
from protocols.wire import AlarmEvent, AlarmKind, AlarmState, Clock, Lane, Priority, encode

T = 1_795_000_000.0


def make_batch(lane: Lane, drained: Drained, sent: float = T) -> Callable[[str, int], bytes]:
    """Builds the batch of drained readings."""

    def build(epoch: str, seq: int) -> bytes:
        return batch(drained.readings, epoch=epoch, lane=lane.value, seq=seq, clock=Clock.SYNCED, sent=sent)

    return build


def alarm_id(number: int) -> str:
    """The id of one of many alarms."""
    return f"01920000-0000-7000-8000-{number:012x}"


def make_alarm(number: int) -> Callable[[str, int], bytes]:
    """Builds the event of alarm `number`."""

    def build(epoch: str, seq: int) -> bytes:
        return encode(
            AlarmEvent(
                v=1,
                alarm_id=alarm_id(number),
                epoch=epoch,
                seq=seq,
                kind=AlarmKind.SOS,
                priority=Priority.HIGH,
                state=AlarmState.RAISED,
                at=T,
                clock=Clock.SYNCED,
                reason="pressed",
                sent=T,
                changed_at=T,
            )
        )

    return build
