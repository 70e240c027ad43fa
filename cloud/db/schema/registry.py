"""Homes, residents, gateways, contacts, responders, users and their sessions."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Double, ForeignKey, Integer, Table, Text, text

from cloud.db.schema.base import metadata

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
    Column("sub_district", Text),  # operator, supervisor: the only one they see; NULL: the whole district
)
sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)
