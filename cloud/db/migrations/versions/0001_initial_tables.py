"""initial tables"""

from alembic import op

from cloud.db.migrations.initial import first, second

revision = "0001"
down_revision = None


_TABLES = (
    "alarm_receipts",
    "homes",
    "ledger",
    "quarantine",
    "responders",
    "contacts",
    "gateways",
    "residents",
    "commands",
    "users",
    "incidents",
    "sessions",
    "access_codes",
    "alarms",
    "assignments",
    "inbound_messages",
    "incident_events",
    "outbox",
    "timers",
)
"""In the order of their references."""


def upgrade() -> None:
    """Create all tables."""
    first.create()
    second.create()


def downgrade() -> None:
    """Drop all tables; their indexes go with them."""
    for name in reversed(_TABLES):
        op.drop_table(name)
