"""All tables, as SQLAlchemy Core; migrations/ creates them. Times are Unix seconds, JSON columns hold plain values."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
Id = BigInteger().with_variant(Integer, "sqlite")

# --- registry ---------------------------------------------------------------------------------------------------------

homes = Table(
    "homes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sub_district", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("lat", Double, nullable=False),
    Column("lon", Double, nullable=False),
    Column("access_note", Text, nullable=False, server_default=""),
)
residents = Table(
    "residents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("home_id", Text, ForeignKey("homes.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("birth_year", Integer, nullable=False),
    Column("sex", Text, nullable=False),
    Column("lang", Text, nullable=False),
    Column("phone", Text, nullable=False, server_default=""),
    Column("conditions", Text, nullable=False, server_default=""),
)
gateways = Table(
    "gateways",
    metadata,
    Column("id", Text, primary_key=True),
    Column("home_id", Text, ForeignKey("homes.id"), nullable=False, index=True),
    Column("revoked_at", Double),
    Column("session", Text),
    Column("online", Boolean, nullable=False, server_default=text("false")),
    Column("last_seen_at", Double),
    Column("status", JSON),
    Column("offline_since", Double, index=True),
    Column("reported", Text),  # how its absence was reported: a cause, or outage:ID
)
contacts = Table(
    "contacts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("home_id", Text, ForeignKey("homes.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("relation", Text, nullable=False),
    Column("phone", Text, nullable=False, index=True),
    Column("lang", Text, nullable=False),
    Column("position", Integer, nullable=False),
)
responders = Table(
    "responders",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),  # nurse | volunteer | social_worker | ambulance
    Column("phone", Text, nullable=False, index=True),
    Column("lang", Text, nullable=False),
    Column("skills", JSON, nullable=False),
    Column("sub_district", Text, nullable=False),
    Column("lat", Double),
    Column("lon", Double),
    Column("located_at", Double),
    Column("on_duty", Boolean, nullable=False),
    Column("rest_until", Double),
)
users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("login", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),  # operator | supervisor | family | responder | admin
    Column("lang", Text, nullable=False),
    Column("phone", Text, nullable=False, server_default=""),
    Column("contact_id", Text, ForeignKey("contacts.id")),
    Column("responder_id", Text, ForeignKey("responders.id")),
    Column("disabled_at", Double),
)
sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)

# --- incidents --------------------------------------------------------------------------------------------------------

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

# --- work that must happen: rows written in the transaction that causes it ------------------------------------------

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

# --- ingest -----------------------------------------------------------------------------------------------------------

Ranges = Text().with_variant(INT8MULTIRANGE(), "postgresql")
"""Sequences as PostgreSQL writes a multirange, {[1,6),[8,9)}; SQLite keeps the same text."""

ledger = Table(
    "ledger",
    metadata,
    Column("gateway_id", Text, primary_key=True),
    Column("epoch", Text, primary_key=True),
    Column("lane", Text, primary_key=True),
    Column("ranges", Ranges, nullable=False),
    Column("updated_at", Double, nullable=False),
)
quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("received_at", Double, nullable=False, index=True),
    Column("topic", Text, nullable=False),
    Column("gateway_id", Text),
    Column("epoch", Text),
    Column("lane", Text),
    Column("seq", BigInteger),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Column("state", Text, nullable=False),  # held | replayed | discarded
    Column("settled_at", Double),
    Column("settled_by", Text),
    Column("note", Text),
)
Index("ix_quarantine_state_gateway_id", quarantine.c.state, quarantine.c.gateway_id, quarantine.c.received_at)
registry_version = Table(
    "registry_version",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
)
rollup_marks = Table(
    "rollup_marks",
    metadata,
    # a window whose roll-up must be computed again because late data of this home has touched it
    Column("window_at", BigInteger, primary_key=True),
    Column("home_id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
)
rollup_progress = Table(
    "rollup_progress",
    metadata,
    Column("width_s", Integer, primary_key=True),
    Column("done_until", BigInteger, nullable=False),
)

# --- supervision ------------------------------------------------------------------------------------------------------

workers = Table(
    "workers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("roles", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("stopped_at", Double),
    Column("problems", JSON, nullable=False),
)
outages = Table(
    "outages",
    metadata,
    Column("id", Text, primary_key=True),
    Column("area", Text, nullable=False, index=True),
    Column("incident_id", Text, ForeignKey("incidents.id"), nullable=False, index=True),
    Column("began_at", Double, nullable=False),
    Column("ended_at", Double),
)
outage_homes = Table(
    "outage_homes",
    metadata,
    Column("outage_id", Text, ForeignKey("outages.id"), primary_key=True),
    Column("home_id", Text, ForeignKey("homes.id"), primary_key=True),
    Column("gateway_id", Text, ForeignKey("gateways.id"), nullable=False),
    Column("since", Double, nullable=False),
    Column("back_at", Double),
)
unprotected = Table(
    "unprotected",
    metadata,
    Column("home_id", Text, ForeignKey("homes.id"), primary_key=True),
    Column("month", Text, primary_key=True),  # YYYY-MM in the district's time zone
    Column("minutes", Double, nullable=False),
)

# --- enrolment --------------------------------------------------------------------------------------------------------

enrolment_tokens = Table(
    "enrolment_tokens",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("gateway_id", Text, ForeignKey("gateways.id"), nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("used_at", Double),
    Column("used_key", Text),  # SHA-256 of the public key it was used for
)
certificates = Table(
    "certificates",
    metadata,
    Column("serial", Text, primary_key=True),  # hex
    Column("gateway_id", Text, ForeignKey("gateways.id"), nullable=False, index=True),
    Column("key_hash", Text, nullable=False),
    Column("pem", Text, nullable=False),
    Column("issued_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("revoked_at", Double),
)
