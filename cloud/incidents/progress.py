"""Tells the home how far help has come, as command rows that ingest sends down."""

from __future__ import annotations

from sqlalchemy import select

from cloud.context import Work
from cloud.db.schema import alarms, commands, gateways, incidents
from cloud.incidents.states import ALARM_ENDED
from protocols.faults import TEST
from protocols.wire import MAX_STOOD_DOWN, Progress, ProgressStage, encode

_VALID_S = 600.0


async def tell_home(
    work: Work, incident_id: str, home_id: str, stage: ProgressStage, *, role: str | None = None
) -> None:
    """One command to every gateway of the home, about a life incident or a test: of a flat battery, or a number that is
    unusual, the resident hears nothing.
    """
    of = await work.one(select(incidents.c["class"], incidents.c.cause).where(incidents.c.id == incident_id))
    if of is not None and of["class"] == "technical" and not of["cause"].startswith(TEST):
        return
    of_incident = select(alarms.c.alarm_id).where(alarms.c.incident_id == incident_id)
    # Those still going on come first: a command names only so many, and the home has forgotten those that ended.
    newest_first = of_incident.order_by(alarms.c.state.in_(ALARM_ENDED), alarms.c.received_at.desc())
    ids = [row["alarm_id"] for row in await work.all(newest_first.limit(MAX_STOOD_DOWN))]
    for row in await work.all(
        select(gateways.c.id).where(gateways.c.home_id == home_id, gateways.c.revoked_at.is_(None))
    ):
        command_id = work.new_id()
        command = Progress(
            v=1,
            id=command_id,
            expires_at=work.now + _VALID_S,
            incident_id=incident_id,
            stage=stage,
            responder_role=role,
            alarm_id=ids[0] if ids else None,
            alarm_ids=tuple(ids) if stage is ProgressStage.STOOD_DOWN else (),
        )
        values = {"id": command_id, "gateway_id": row["id"], "payload": encode(command), "state": "waiting"}
        await work.run(commands.insert().values(**values, created_at=work.now, expires_at=command.expires_at))
