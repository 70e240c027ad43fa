"""Incidents, their alarms and event log, assignments and access codes."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Double, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, text

from cloud.db.schema.base import Id, metadata

incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("home_id", Text, ForeignKey("homes.id"), nullable=False, index=True),
    Column("class", Text, nullable=False),  # life | technical
    Column("kind", Text, nullable=False),  # protocols.wire.AlarmKind of the leading alarm
    Column("cause", Text, nullable=False, server_default=""),  # technical: one open incident per home and cause
    Column("priority", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("condition_cleared_at", Double),
    Column("claimed_by", Text, ForeignKey("users.id")),
    Column("claimed_at", Double),
    Column("claim_expires_at", Double),
    Column("outcome", Text),
    Column("outcome_note", Text),
    Column("closed_at", Double),
)
Index(
    "uq_incidents_one_open",
    incidents.c.home_id,
    incidents.c["class"],
    incidents.c.cause,
    unique=True,
    postgresql_where=text("state <> 'closed'"),
    sqlite_where=text("state <> 'closed'"),
)
Index("ix_incidents_open", incidents.c.state, incidents.c.opened_at)
alarms = Table(
    "alarms",
    metadata,
    Column("alarm_id", Text, primary_key=True),
    Column("incident_id", Text, ForeignKey("incidents.id"), index=True),
    Column("home_id", Text, ForeignKey("homes.id"), nullable=False),
    Column("gateway_id", Text, ForeignKey("gateways.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("clock", Text, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("raised_at", Double),
    Column("raised_by", Text),  # gateway | cloud
    Column("decide_by", Double),
    Column("device", Text),
    Column("room", Text),
    Column("lat", Double),
    Column("lon", Double),
    Column("accuracy_m", Double),
    Column("evidence", JSON, nullable=False),
)
alarm_receipts = Table(
    "alarm_receipts",
    metadata,
    Column("gateway_id", Text, primary_key=True),
    Column("epoch", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("alarm_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("received_at", Double, nullable=False),
)
incident_events = Table(
    "incident_events",
    metadata,
    # assigned as 1 + max under a lock, so that readers who follow it never skip a row that commits late
    Column("position", Id, primary_key=True, autoincrement=False),
    Column("incident_id", Text, ForeignKey("incidents.id"), index=True),
    Column("at", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),  # gateway:ID | user:ID | contact:ID | responder:ID | system
    Column("data", JSON, nullable=False),
)
assignments = Table(
    "assignments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("incident_id", Text, ForeignKey("incidents.id"), nullable=False, index=True),
    Column("responder_id", Text, ForeignKey("responders.id"), nullable=False, index=True),
    Column("state", Text, nullable=False),  # offered | accepted | declined | arrived | stood_down
    Column("offered_at", Double, nullable=False),
    Column("answered_at", Double),
    Column("arrived_at", Double),
    Column("reasons", JSON, nullable=False),
    UniqueConstraint("incident_id", "responder_id"),
)
access_codes = Table(
    "access_codes",
    metadata,
    Column("code", Text, primary_key=True),
    Column("incident_id", Text, ForeignKey("incidents.id"), nullable=False, index=True),
    Column("contact_id", Text, ForeignKey("contacts.id")),
    Column("responder_id", Text, ForeignKey("responders.id")),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)
