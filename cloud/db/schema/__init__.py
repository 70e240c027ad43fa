"""All tables, as SQLAlchemy Core; migrations/ creates them. Times are Unix seconds, JSON columns hold plain values."""

from __future__ import annotations

from cloud.db.schema.base import metadata
from cloud.db.schema.enrolment import certificates, enrolment_tokens
from cloud.db.schema.incident import access_codes, alarm_receipts, alarms, assignments, incident_events, incidents
from cloud.db.schema.ingest import Ranges, ledger, quarantine, registry_version, rollup_marks, rollup_progress
from cloud.db.schema.registry import contacts, gateways, homes, residents, responders, sessions, users
from cloud.db.schema.supervision import outage_homes, outages, unprotected, workers
from cloud.db.schema.work import commands, inbound_messages, outbox, timers

__all__ = [
    "Ranges",
    "access_codes",
    "alarm_receipts",
    "alarms",
    "assignments",
    "certificates",
    "commands",
    "contacts",
    "enrolment_tokens",
    "gateways",
    "homes",
    "inbound_messages",
    "incident_events",
    "incidents",
    "ledger",
    "metadata",
    "outage_homes",
    "outages",
    "outbox",
    "quarantine",
    "registry_version",
    "residents",
    "responders",
    "rollup_marks",
    "rollup_progress",
    "sessions",
    "timers",
    "unprotected",
    "users",
    "workers",
]
