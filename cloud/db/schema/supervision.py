"""Workers that report, outages of areas, minutes without protection."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Double, ForeignKey, Table, Text

from cloud.db.schema.base import metadata

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
