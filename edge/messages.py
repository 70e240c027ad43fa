"""What the gateway tells the cloud: alarms and batches as wire messages, and open alarms as they are kept on flash."""

from __future__ import annotations

import msgspec

from edge.alarms import ENDED, Alarm
from protocols.telemetry import pack_readings
from protocols.wire import MAX_MESSAGE_BYTES, AlarmEvent, AlarmState, Clock, Evidence, Lane, TelemetryBatch, encode

_alarm_decoder = msgspec.json.Decoder(Alarm)


def alarm_event(alarm: Alarm, epoch: str, seq: int, clock: Clock, sent: float) -> bytes:
    """The event of an alarm's present state. The signal goes with the first event only; a message too long goes
    without.
    """
    first = alarm.state is AlarmState.PENDING or (alarm.state is AlarmState.RAISED and alarm.decide_by is None)
    evidence = list(alarm.evidence) if first else [_without_signal(e) for e in alarm.evidence]
    event = AlarmEvent(
        v=1,
        alarm_id=alarm.alarm_id,
        epoch=epoch,
        seq=seq,
        kind=alarm.kind,
        priority=alarm.priority,
        state=alarm.state,
        at=alarm.at,
        clock=clock,
        reason=alarm.reason,
        sent=sent,
        changed_at=alarm.changed_at,
        device=alarm.device,
        room=alarm.room,
        position=alarm.position,
        evidence=evidence,
        decide_by=alarm.decide_by if alarm.state is AlarmState.PENDING else None,
        told=list(alarm.told),
    )
    body = encode(event)
    if len(body) > MAX_MESSAGE_BYTES:
        body = encode(msgspec.structs.replace(event, evidence=[_without_signal(e) for e in evidence]))
    return body


def batch(readings: tuple[tuple[str, str, float, float | bool | str], ...], **place: object) -> bytes:
    """A telemetry batch; `place` is epoch, lane, seq, clock and sent."""
    return encode(TelemetryBatch(v=1, records=pack_readings(readings), **place))  # type: ignore[arg-type]


def batch_lane(answering: bool) -> Lane:
    """The lane of a batch closed now: live while the cloud answers, else back-log."""
    return Lane.LIVE if answering else Lane.BACKLOG


def stored_alarm(alarm: Alarm) -> bytes | None:
    """An open alarm as it is kept on flash; None once it has ended."""
    return None if alarm.state in ENDED else msgspec.json.encode(alarm)


def restored_alarm(body: bytes) -> Alarm:
    """The alarm of `stored_alarm`. Raises msgspec.DecodeError."""
    return _alarm_decoder.decode(body)


def _without_signal(evidence: Evidence) -> Evidence:
    return msgspec.structs.replace(evidence, excerpt=None)
