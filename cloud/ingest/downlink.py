"""Commands to the homes: rows until the gateway has answered or the command has expired."""

from __future__ import annotations

from sqlalchemy import or_, select, update

from cloud.context import Context
from cloud.db.schema import commands
from cloud.ingest.connection import Publish
from protocols.topics import Down, down
from protocols.wire import Reply

_AGAIN_S = 15.0
_AT_ONCE = 200


async def send_commands(context: Context, publish: Publish) -> int:
    """Send what waits, and again what was not answered; returns how many were handed to the broker."""
    async with context.look() as look:
        again = look.now - _AGAIN_S
        unanswered = commands.c.state.in_(("waiting", "sent"))
        due = or_(commands.c.sent_at.is_(None), commands.c.sent_at < again)
        rows = await look.all(select(commands).where(unanswered, due).order_by(commands.c.created_at).limit(_AT_ONCE))
        now = look.now
    expired = [row["id"] for row in rows if row["expires_at"] < now]
    sent = [
        row["id"]
        for row in rows
        if row["expires_at"] >= now and publish(down(row["gateway_id"], Down.COMMAND), bytes(row["payload"]), 1)
    ]
    if expired or sent:
        async with context.work() as work:
            mine = update(commands).where(commands.c.state.in_(("waiting", "sent")))
            await work.run(mine.where(commands.c.id.in_(expired)).values(state="expired"))
            await work.run(
                mine.where(commands.c.id.in_(sent)).values(
                    state="sent", sent_at=work.now, attempts=commands.c.attempts + 1
                )
            )
    return len(sent)


async def settle_reply(context: Context, gateway: str, reply: Reply) -> None:
    """Note a gateway's answer; one to a command of another gateway changes nothing."""
    async with context.work() as work:
        mine = update(commands).where(commands.c.id == reply.id, commands.c.gateway_id == gateway)
        values = {"state": str(reply.status), "answered_at": reply.at, "detail": reply.detail[:500]}
        await work.run(mine.where(commands.c.answered_at.is_(None)).values(**values))
