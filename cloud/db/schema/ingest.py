"""Ranges received, quarantine, and what roll-ups have done."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE

from cloud.db.schema.base import Id, metadata

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
