"""Messages to people as rows, written in the transaction that causes them; the sender takes them from there."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import select, update

from cloud.context import Work
from cloud.db.schema import access_codes, outbox
from cloud.notify.texts import Lang, render

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without characters that are read for one another (0 O, 1 I)."""
CODE_LENGTH = 6
CODE_VALID_S = 72 * 3600.0


async def enqueue(
    work: Work,
    *,
    recipient: str,
    phone: str,
    lang: Lang,
    template: str,
    params: dict[str, str],
    incident_id: str | None,
) -> str:
    """Write one message; returns its id, which stays the same over all tries. `recipient` is KIND:ID."""
    message_id = work.new_id()
    text = render(template, lang, work.context.config.notify.signature, params)
    body: dict[str, Any] = {
        "message_id": message_id,
        "to": phone,
        "text": text,
        "lang": lang,
        "template": template,
        "params": params,
        "reply_to_incident": incident_id,
    }
    row = {
        "id": message_id,
        "incident_id": incident_id,
        "recipient": recipient,
        "phone": phone,
        "template": template,
        "text": text,
        "body": body,
        "state": "waiting",
        "created_at": work.now,
        "due_at": work.now,
    }
    await work.run(outbox.insert().values(**row))
    return message_id


async def told_before(work: Work, incident_id: str, template: str) -> dict[str, bool]:
    """Recipients to whom this template went, or will go, for this incident; False: every message to them failed."""
    rows = await work.all(
        select(outbox.c.recipient, outbox.c.state).where(
            outbox.c.incident_id == incident_id, outbox.c.template == template, outbox.c.state != "cancelled"
        )
    )
    told: dict[str, bool] = {}
    for row in rows:
        told[row["recipient"]] = told.get(row["recipient"], False) or row["state"] != "failed"
    return told


async def cancel_waiting(work: Work, incident_id: str) -> None:
    """Take back what has not left yet."""
    await work.run(
        update(outbox)
        .where(
            outbox.c.incident_id == incident_id,
            outbox.c.state == "waiting",
            outbox.c.attempts == 0,
            outbox.c.leased_until.is_(None),
        )
        .values(state="cancelled")
    )


async def access_code(work: Work, incident_id: str, who: Literal["contact_id", "responder_id"], person_id: str) -> str:
    """The code that opens this incident's page for one person; made once, then the same."""
    column = access_codes.c[who]
    known = await work.one(
        select(access_codes.c.code).where(access_codes.c.incident_id == incident_id, column == person_id)
    )
    if known is not None:
        return str(known["code"])
    code = "".join(work.context.rng.choice(_ALPHABET) for _ in range(CODE_LENGTH))
    values = {"code": code, "incident_id": incident_id, who: person_id, "created_at": work.now}
    await work.run(access_codes.insert().values(**values, expires_at=work.now + CODE_VALID_S))
    return code
