"""Answers by SMS: matched by phone number and open incident, or by the code in the text; answered by state."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import func, select, update

from cloud.context import Context, Work
from cloud.db.schema import access_codes, contacts, inbound_messages, incidents, outbox, responders
from cloud.db.upsert import insert_new
from cloud.incidents.actions import answer_call, answer_job
from cloud.incidents.states import State
from cloud.incidents.store import NotAllowedError
from cloud.notify.outbox import CODE_LENGTH, enqueue

MAX_TEXT = 500
_ANSWER = re.compile(r"\s*([1-3１２３])(?:\s*[，,。.]?\s*|$)")
_CODE = re.compile(rf"\b([2-9A-HJ-NP-Z]{{{CODE_LENGTH}}})\b")
_REPLIES_PER_HOUR = 5
_DIGITS = {"１": "1", "２": "2", "３": "3"}
_JOB_ANSWERS = {"1": "accept", "2": "decline", "3": "arrive"}


async def receive_reply(context: Context, message_id: str, phone: str, text: str) -> str:
    """Take one message; returns what became of it. The same id a second time changes nothing."""
    async with context.work() as work:
        row = {
            "id": message_id,
            "phone": phone,
            "text": text[:MAX_TEXT].replace("\x00", ""),
            "received_at": work.now,
            "result": "",
        }
        if not await insert_new(work.connection, inbound_messages, row):
            return "duplicate"
        incident_id, result = await _act(work, phone, text)
        values = {"incident_id": incident_id, "result": result}
        await work.run(update(inbound_messages).where(inbound_messages.c.id == message_id).values(**values))
        return result


async def _act(work: Work, phone: str, text: str) -> tuple[str | None, str]:
    found = await _conversation(work, phone, text)
    if found is None:
        return None, "unknown_sender"
    incident, kind, person = found
    answer = _ANSWER.match(text)
    if incident["state"] == State.CLOSED:
        await _reply(work, phone, person, "reply_closed", incident["id"])
        return incident["id"], "closed"
    digit = _DIGITS.get(answer[1], answer[1]) if answer else ""
    if kind == "contact" and digit in ("1", "2"):
        await answer_call(work, incident["id"], person["id"], can_go=digit == "1")
        return incident["id"], "can_go" if digit == "1" else "cannot_go"
    if kind == "responder" and digit in _JOB_ANSWERS:
        try:
            return incident["id"], await answer_job(work, incident["id"], person["id"], _JOB_ANSWERS[digit])
        except NotAllowedError:
            await _reply(work, phone, person, "reply_closed", incident["id"])
            return incident["id"], "too_late"
    await _reply(work, phone, person, "reply_unknown", incident["id"])
    return incident["id"], "not_understood"


async def _conversation(work: Work, phone: str, text: str) -> tuple[dict[str, Any], str, dict[str, Any]] | None:
    """The incident and the person a message is about: by the code in it, else the newest this phone was told of."""
    code = _CODE.search(text.upper())
    told = None
    if code is not None:
        row = await work.one(select(access_codes).where(access_codes.c.code == code[1]))
        if row is not None:
            kind, person = ("contact", row["contact_id"]) if row["contact_id"] else ("responder", row["responder_id"])
            told = {"incident_id": row["incident_id"], "recipient": f"{kind}:{person}"}
    if told is None:
        still_open = incidents.c.state != State.CLOSED
        told = await work.one(
            select(outbox.c.incident_id, outbox.c.recipient)
            .join(incidents, incidents.c.id == outbox.c.incident_id)
            .where(outbox.c.phone == phone, outbox.c.template.in_(("contact_alarm", "responder_job")))
            .order_by(still_open.desc(), outbox.c.created_at.desc())
            .limit(1)
        )
    if told is None:
        return None
    kind, _, person_id = told["recipient"].partition(":")
    table = contacts if kind == "contact" else responders
    person_row = await work.one(select(table).where(table.c.id == person_id, table.c.phone == phone))
    incident = await work.one(select(incidents).where(incidents.c.id == told["incident_id"]))
    return None if person_row is None or incident is None else (incident, kind, person_row)


async def _reply(work: Work, phone: str, person: dict[str, Any], template: str, incident_id: str) -> None:
    """Answer, but never so often that two machines could talk to each other."""
    recent = await work.connection.scalar(
        select(func.count()).where(
            outbox.c.phone == phone, outbox.c.template.like("reply_%"), outbox.c.created_at > work.now - 3600
        )
    )
    if int(recent or 0) < _REPLIES_PER_HOUR:
        await enqueue(
            work,
            recipient=f"phone:{phone}",
            phone=phone,
            lang=person["lang"],
            template=template,
            params={},
            incident_id=incident_id,
        )


async def receive_receipt(context: Context, message_id: str, *, delivered: bool, detail: str = "") -> bool:
    """Note what the provider says of one message; False if it is not ours. A failure never undoes a delivery."""
    async with context.work() as work:
        mine = update(outbox).where(outbox.c.id == message_id, outbox.c.state != "cancelled")
        if delivered:
            return bool(await work.run(mine.values(state="delivered", delivered_at=work.now)))
        values = {"state": "failed", "last_error": f"receipt: {detail}"[:300]}
        await work.run(mine.where(outbox.c.state != "delivered").values(**values))
        return await work.one(select(outbox.c.id).where(outbox.c.id == message_id)) is not None
