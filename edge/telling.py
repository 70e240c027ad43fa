"""Joins alarms, spool and the family's SMS: which raised alarms the cloud has not acknowledged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from edge.alarms import ENDED, Alarm
from edge.alarms.states import SILENT
from edge.clock import Clock
from edge.config import GatewayConfig, read_secret
from edge.fallback.family import Family
from edge.fallback.modem import ModemSms
from edge.fallback.router import RouterSms
from edge.fallback.sender import Sender
from edge.spool.store import Spool
from edge.supervision.technical import is_fault
from protocols.wire import AlarmEvent, AlarmKind, AlarmState, Lane, Priority, Told, decode_alarm


def family(config: GatewayConfig, clock: Clock, on_told: Callable[[str, Told], Awaitable[None]]) -> Family:
    """The family of this home; the modem comes first, for it needs no line. Raises ConfigError."""
    section = config.fallback
    senders: list[Sender] = []
    if section.modem is not None:
        senders.append(ModemSms(section.modem.port, section.modem.baud, section.modem.answer_s))
    if section.sms_url is not None and section.secret_file is not None:
        senders.append(RouterSms(section.sms_url, read_secret(section.secret_file), clock))
    return Family(
        senders=tuple(senders),
        contacts=section.people(),
        after_s=section.after_s,
        home=section.home_name or config.gateway.id,
        folder=config.gateway.data_dir,
        clock=clock,
        on_told=on_told,
    )


def watch_alarms(
    spool: Spool, home: Family
) -> tuple[Callable[[Alarm, int | None], None], Callable[[Lane, list[tuple[int, int]]], None]]:
    """What tells the family's ladder of stored and of acknowledged alarms; those still in the spool are watched at
    once. What the ladder knows of the last run and is not in the spool any more has been acknowledged.
    """
    sent_as: dict[int, str] = {}
    known = set(home.tellings.cases)
    for seq in spool.after(Lane.ALARM, 0, 1_000):
        event = decode_alarm(spool.body(Lane.ALARM, seq) or b"")
        sent_as[seq] = event.alarm_id
        if _rings(event.kind, event.reason, event.priority) and (event.alarm_id not in known or event.state in ENDED):
            home.watch(_alarm(event))
    home.taken(known - set(sent_as.values()))

    def watch(alarm: Alarm, seq: int | None) -> None:
        if seq is not None:
            sent_as[seq] = alarm.alarm_id
        if _rings(alarm.kind, alarm.reason, alarm.priority):
            home.watch(alarm)

    def settled(lane: Lane, ranges: list[tuple[int, int]]) -> None:
        if lane is Lane.ALARM:
            done = [seq for seq in sent_as if any(a <= seq <= b for a, b in ranges)]
            taken = {sent_as.pop(seq) for seq in done}
            # An answer to the question's event is none to the raise that followed it.
            home.taken(taken - set(sent_as.values()))

    return watch, settled


def _rings(kind: AlarmKind, reason: str, priority: Priority) -> bool:
    """Whether the family is told: of what somebody must act on now, and of a test that proves the chain. A notice of
    low priority waits for the cloud, where no family is told of it either.
    """
    if kind is AlarmKind.TECHNICAL:
        return not is_fault(kind, reason)
    return kind not in SILENT and priority is not Priority.LOW


def _alarm(event: AlarmEvent) -> Alarm:
    """As much of the alarm as its event tells."""
    return Alarm(
        alarm_id=event.alarm_id,
        kind=event.kind,
        priority=event.priority,
        state=AlarmState(event.state),
        at=event.at,
        changed_at=event.changed_at or event.sent,
        reason=event.reason,
        device=event.device or "gateway",
        room=event.room,
        evidence=tuple(event.evidence),
        cause=event.reason,
        told=tuple(event.told),
    )
