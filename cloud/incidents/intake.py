"""Takes alarm events from the homes: each exactly once, in one transaction with the incident it causes."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from cloud.context import Context, Work
from cloud.db.schema import alarm_receipts, alarms, gateways, incident_events
from cloud.db.upsert import insert_new
from cloud.incidents import store, technical, timers
from cloud.incidents.events import record
from cloud.incidents.progress import tell_home
from cloud.incidents.states import ALARM_ENDED, State, Step
from cloud.incidents.timers import TimerKind
from protocols.errors import ProtocolError, Reason
from protocols.faults import TEST, cause
from protocols.wire import AlarmEvent, AlarmKind, AlarmState, Clock, Priority, ProgressStage, ToldWhat

_LONGEST_PENDING_S = 600.0
_MOST_EVIDENCE = 32
_RAISED = frozenset({AlarmState.RAISED, AlarmState.ESCALATED})
_NEVER_LIFE = frozenset({AlarmKind.TECHNICAL, AlarmKind.UNUSUAL})
"""Faults, and numbers unlike their own past: incidents by cause, for which no family and no responder is rung."""
_RANK = {Priority.LOW: 0, Priority.MEDIUM: 1, Priority.HIGH: 2}


class AlarmIntake:
    """Where alarm events become incidents."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def accept(self, gateway: str, event: AlarmEvent) -> bool:
        """Commit one event; False if it had been committed before. Raises ProtocolError if it never can be."""
        try:
            return await self._accept(gateway, event)
        except IntegrityError:
            # Another worker opened the home's incident in the same moment: now there is one to attach to.
            return await self._accept(gateway, event)

    async def _accept(self, gateway: str, event: AlarmEvent) -> bool:
        async with self._context.work() as work:
            home = await work.one(
                select(gateways.c.home_id).where(gateways.c.id == gateway, gateways.c.revoked_at.is_(None))
            )
            if home is None:
                raise ProtocolError(Reason.UNKNOWN_GATEWAY, "topic", f"{gateway} is not registered")
            receipt = {
                "gateway_id": gateway,
                "epoch": event.epoch,
                "seq": event.seq,
                "alarm_id": event.alarm_id,
                "state": event.state,
                "received_at": work.now,
            }
            if not await insert_new(work.connection, alarm_receipts, receipt):
                return False
            await self._apply(work, gateway, home["home_id"], event)
            return True

    async def _apply(self, work: Work, gateway: str, home_id: str, event: AlarmEvent) -> None:
        await insert_new(work.connection, alarms, _alarm_row(gateway, home_id, event, work.now))
        alarm = await work.one(select(alarms).where(alarms.c.alarm_id == event.alarm_id).with_for_update())
        assert alarm is not None
        if alarm["gateway_id"] != gateway:
            raise ProtocolError(Reason.WRONG_HOME, "alarm.alarm_id", "belongs to an alarm of another gateway")
        if event.kind in _NEVER_LIFE:
            await self._technical(work, home_id, gateway, event)
            return
        newest = await _newest(work, event)
        values: dict[str, Any] = {}
        if event.seq == newest and not (event.state is AlarmState.PENDING and alarm["state"] != AlarmState.PENDING):
            values |= {"state": event.state, "priority": event.priority, "reason": event.reason}
        evidence = _joined(alarm["evidence"], msgspec.to_builtins(event.evidence))
        if evidence != alarm["evidence"]:
            values["evidence"] = evidence
        if values:
            await work.run(update(alarms).where(alarms.c.alarm_id == event.alarm_id).values(**values))
        known_state, change = alarm["state"], _change(alarm, values)
        alarm |= values
        if event.state is AlarmState.PENDING:
            await self._wait_for_decision(work, alarm, event)
        else:
            await timers.cancel(work, TimerKind.RAISE_PENDING, alarm_id=event.alarm_id)
        if event.state in _RAISED:
            await raise_alarm(work, alarm, by="gateway", change=change)
        if alarm["state"] in ALARM_ENDED and (known_state not in ALARM_ENDED or event.state not in ALARM_ENDED):
            await self._ended(work, event.alarm_id)
        if event.told:
            await self._told(work, event)

    async def _told(self, work: Work, event: AlarmEvent) -> None:
        """Whom the home told by itself while the cloud did not answer goes into the incident's log, each once."""
        alarm = await work.one(select(alarms).where(alarms.c.alarm_id == event.alarm_id))
        if alarm is None or alarm["incident_id"] is None:
            return
        of_incident = (incident_events.c.incident_id == alarm["incident_id"], incident_events.c.kind == "told_by_home")
        rows = await work.all(select(incident_events.c.data).where(*of_incident))
        known = {(row["data"]["text"], row["data"]["told_at"], row["data"]["alarm_id"]) for row in rows}
        for whom in event.told:
            data = {"who": whom.who, "channel": whom.channel, "told_at": whom.at, "outcome": whom.outcome}
            data |= {"what": whom.what}
            over = f"{whom.what}, " if whom.what is not ToldWhat.ALARM else ""
            text = f"{whom.who} ({over}{whom.channel}: {whom.outcome})"
            if (text, whom.at, event.alarm_id) in known:
                continue
            actor = f"gateway:{alarm['gateway_id']}"
            await record(work, alarm["incident_id"], "told_by_home", actor, alarm_id=event.alarm_id, text=text, **data)

    async def _technical(self, work: Work, home_id: str, gateway: str, event: AlarmEvent) -> None:
        """A fault in the home: one incident per cause, cleared by the same alarm's end. Never a life alarm."""
        if event.seq != await _newest(work, event):
            return
        mine = update(alarms).where(alarms.c.alarm_id == event.alarm_id)
        await work.run(mine.values(state=event.state))
        what, actor = cause(event.reason, event.device), f"gateway:{gateway}"
        if event.state in ALARM_ENDED:
            await technical.clear_technical(work, home_id, what, actor)
            return
        await technical.open_technical(work, home_id, what, actor, kind=event.kind)
        incident = await store.open_in_home(work, home_id, "technical", what)
        if incident is not None and (event.kind is AlarmKind.UNUSUAL or event.reason == TEST):
            evidence = msgspec.to_builtins(event.evidence)
            await work.run(mine.values(incident_id=incident["id"], evidence=evidence))

    async def _wait_for_decision(self, work: Work, alarm: dict[str, Any], event: AlarmEvent) -> None:
        """If neither cancel nor raise comes by `decide_by` and a grace, the cloud raises the alarm itself.

        The home's clock may be wrong: then only the length of its question counts, from the moment it arrived.
        """
        if alarm["state"] != AlarmState.PENDING or event.decide_by is None:
            return
        due = event.decide_by
        if event.clock is not Clock.SYNCED or not work.now - 3600 < event.sent < work.now + 300:
            due = work.now + max(0.0, event.decide_by - event.sent)
        due = min(max(due, work.now), work.now + _LONGEST_PENDING_S)
        grace = work.context.config.supervision.pending_grace_s
        await timers.cancel(work, TimerKind.RAISE_PENDING, alarm_id=event.alarm_id)
        await timers.schedule(work, TimerKind.RAISE_PENDING, due + grace, alarm_id=event.alarm_id)

    async def _ended(self, work: Work, alarm_id: str) -> None:
        """An alarm ended in the home. Its incident stays open until a human has looked, but shows that it ended."""
        alarm = await work.one(select(alarms).where(alarms.c.alarm_id == alarm_id))
        if alarm is None or alarm["incident_id"] is None:
            return
        others = await work.connection.scalar(
            select(func.count()).where(alarms.c.incident_id == alarm["incident_id"], alarms.c.state.not_in(ALARM_ENDED))
        )
        incident = await store.load(work, alarm["incident_id"])
        if incident["state"] == State.CLOSED:
            return
        cleared = {} if others else {"condition_cleared_at": work.now}
        await store.change(work, incident, **cleared)
        await record(work, incident["id"], str(alarm["state"]), f"gateway:{alarm['gateway_id']}", alarm_id=alarm_id)


async def _newest(work: Work, event: AlarmEvent) -> int | None:
    """The highest sequence received of this alarm: an older event that comes late changes nothing."""
    newest: int | None = await work.connection.scalar(
        select(func.max(alarm_receipts.c.seq)).where(
            alarm_receipts.c.alarm_id == event.alarm_id, alarm_receipts.c.epoch == event.epoch
        )
    )
    return newest


def _change(known: dict[str, Any], values: dict[str, Any]) -> str | None:
    """What the incident's log says of an alarm that it has already: it is worse, or more is known of it."""
    escalated = values.get("state") == AlarmState.ESCALATED != known["state"]
    if escalated or _RANK[Priority(values.get("priority", known["priority"]))] > _RANK[Priority(known["priority"])]:
        return "alarm_escalated"
    return "alarm_evidence" if len(values.get("evidence", ())) > len(known["evidence"]) else None


def _joined(known: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Evidence of all events of one alarm, in order of arrival; a repeated piece is kept once, with its signal."""
    joined = {(e["detector"], e["device"], e["at"]): e for e in known}
    for piece in new:
        key = (piece["detector"], piece["device"], piece["at"])
        if key not in joined or (piece.get("excerpt") and not joined[key].get("excerpt")):
            joined[key] = piece
    return list(joined.values())[:_MOST_EVIDENCE]


def _alarm_row(gateway: str, home_id: str, event: AlarmEvent, now: float) -> dict[str, Any]:
    position = event.position
    return {
        "alarm_id": event.alarm_id,
        "home_id": home_id,
        "gateway_id": gateway,
        "kind": event.kind,
        "priority": event.priority,
        "state": event.state,
        "reason": event.reason,
        "at": event.at,
        "clock": event.clock,
        "received_at": now,
        "decide_by": event.decide_by,
        "device": event.device,
        "room": event.room,
        "lat": position.lat if position else None,
        "lon": position.lon if position else None,
        "accuracy_m": position.accuracy_m if position else None,
        "evidence": msgspec.to_builtins(event.evidence),
    }


async def raise_alarm(work: Work, alarm: dict[str, Any], *, by: str, change: str | None = None) -> None:
    """Give a raised alarm its incident: the home's open one, or a new one. One that has its incident tells it of a
    `change` only.
    """
    if alarm["incident_id"] is not None:
        if change is not None:
            await _attach(work, await store.load(work, alarm["incident_id"]), alarm, change)
        return
    raised = {"raised_at": work.now, "raised_by": by}
    actor = f"gateway:{alarm['gateway_id']}" if by == "gateway" else "system"
    incident = await store.open_in_home(work, alarm["home_id"], "life")
    attach_to = incident
    if incident is None:
        incident = await store.create(
            work,
            home_id=alarm["home_id"],
            kind_class="life",
            kind=alarm["kind"],
            priority=alarm["priority"],
            cause="",
            actor=actor,
            alarm_id=alarm["alarm_id"],
            raised_by=by,
        )
    statement = update(alarms).where(alarms.c.alarm_id == alarm["alarm_id"])
    await work.run(statement.values(incident_id=incident["id"], **raised))
    if attach_to is not None:
        await _attach(work, attach_to, alarm, "alarm_attached")
    await tell_home(work, incident["id"], alarm["home_id"], ProgressStage.RECEIVED)


async def _attach(work: Work, incident: dict[str, Any], alarm: dict[str, Any], kind: str) -> None:
    """A further alarm in an open incident, or more of one: the highest priority counts, a resolved incident is open
    again, and where nobody holds it a further alarm renews the escalation.
    """
    if incident["state"] == State.CLOSED:
        return
    values: dict[str, Any] = {"condition_cleared_at": None}
    rose = _RANK[Priority(alarm["priority"])] > _RANK[Priority(incident["priority"])]
    if rose:
        values |= {"priority": alarm["priority"], "kind": alarm["kind"]}
    if incident["state"] == State.RESOLVED:
        values["state"] = store.after(incident, Step.RECUR) if incident["claimed_by"] else State.NEW
    changed = await store.change(work, incident, **values)
    actor = f"gateway:{alarm['gateway_id']}"
    await record(work, incident["id"], kind, actor, alarm_id=alarm["alarm_id"], kind=alarm["kind"])
    if changed["claimed_by"] is None and (rose or kind != "alarm_evidence"):
        await timers.renew_ladder(work, incident["id"], changed["priority"], rose=rose)
