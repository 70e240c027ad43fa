"""Work that must happen: timers, messages and commands, written in the transaction that causes them."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Double, ForeignKey, Index, Integer, LargeBinary, Table, Text, text

from cloud.db.schema.base import metadata

timers = Table(
    "timers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # raise_pending | ladder | claim_lease
    Column("due_at", Double, nullable=False),
    Column("state", Text, nullable=False),  # waiting | done | cancelled
    Column("incident_id", Text, ForeignKey("incidents.id"), index=True),
    Column("alarm_id", Text, index=True),
    Column("gateway_id", Text),
    Column("data", JSON, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    Column("done_at", Double),
)
Index("ix_timers_waiting", timers.c.state, timers.c.due_at)
outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),  # the webhook-id, stable over retries
    Column("incident_id", Text, ForeignKey("incidents.id"), index=True),
    Column("recipient", Text, nullable=False),  # contact:ID | responder:ID | user:ID
    Column("phone", Text, nullable=False, index=True),
    Column("template", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("body", JSON, nullable=False),
    Column("state", Text, nullable=False),  # waiting | sent | delivered | failed | cancelled
    Column("created_at", Double, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("leased_until", Double),
    Column("last_error", Text),
    Column("sent_at", Double),
    Column("delivered_at", Double),
)
Index("ix_outbox_waiting", outbox.c.state, outbox.c.due_at)
inbound_messages = Table(
    "inbound_messages",
    metadata,
    Column("id", Text, primary_key=True),  # the provider's id
    Column("phone", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("incident_id", Text, ForeignKey("incidents.id")),
    Column("result", Text, nullable=False),
)
commands = Table(
    "commands",
    metadata,
    Column("id", Text, primary_key=True),
    Column("gateway_id", Text, ForeignKey("gateways.id"), nullable=False),
    Column("payload", LargeBinary, nullable=False),  # encoded protocols.wire.Command
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("state", Text, nullable=False),  # waiting | sent | done | refused | expired
    Column("sent_at", Double),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("answered_at", Double),
    Column("detail", Text),
)
Index("ix_commands_waiting", commands.c.state, commands.c.created_at)
