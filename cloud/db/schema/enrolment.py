"""Enrolment tokens and the certificates made from them."""

from __future__ import annotations

from sqlalchemy import Column, Double, ForeignKey, Table, Text

from cloud.db.schema.base import metadata

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
