"""ledger as multiranges, settled quarantine, roll-up marks, workers, outages, unprotected time"""

import re

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Keep what the ledger holds; everything else is new."""
    _ledger()
    _columns()
    _tables()
    _outages()


def _ledger() -> None:
    ranges = sa.Text().with_variant(INT8MULTIRANGE(), "postgresql")
    op.rename_table("ledger", "ledger_1")
    op.create_table(
        "ledger",
        sa.Column("gateway_id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("ranges", ranges, nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("gateway_id", "epoch", "lane", name="pk_ledger_2"),
    )
    if op.get_bind().dialect.name == "sqlite":
        merged = "'{' || group_concat('[' || first || ',' || (last + 1) || ')', ',') || '}'"
        rows = "(SELECT * FROM ledger_1 ORDER BY gateway_id, epoch, lane, first)"
    else:
        merged, rows = "range_agg(int8range(first, last, '[]'))", "ledger_1"
    op.execute(
        "INSERT INTO ledger (gateway_id, epoch, lane, ranges, updated_at)"
        f" SELECT gateway_id, epoch, lane, {merged}, max(updated_at) FROM {rows} GROUP BY gateway_id, epoch, lane"
    )
    op.drop_table("ledger_1")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("ALTER TABLE ledger RENAME CONSTRAINT pk_ledger_2 TO pk_ledger")


def _columns() -> None:
    op.add_column("quarantine", sa.Column("settled_at", sa.Double()))
    op.add_column("quarantine", sa.Column("settled_by", sa.Text()))
    op.add_column("quarantine", sa.Column("note", sa.Text()))
    op.create_index("ix_quarantine_state_gateway_id", "quarantine", ["state", "gateway_id", "received_at"])
    op.add_column("gateways", sa.Column("offline_since", sa.Double()))
    op.add_column("gateways", sa.Column("reported", sa.Text()))
    op.create_index("ix_gateways_offline_since", "gateways", ["offline_since"])
    op.execute("UPDATE gateways SET offline_since = last_seen_at WHERE NOT online")
    op.execute(
        "UPDATE gateways SET reported = (SELECT min(cause) FROM incidents WHERE incidents.home_id = gateways.home_id"
        " AND cause IN ('gateway_offline', 'gateway_silent') AND state <> 'closed') WHERE NOT online"
    )
    op.execute("DELETE FROM timers WHERE kind = 'gateway_offline'")  # the supervisor looks for itself now


def _tables() -> None:
    op.create_table(
        "registry_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_registry_version"),
    )
    op.create_table(
        "rollup_marks",
        sa.Column("window_at", sa.BigInteger(), nullable=False),
        sa.Column("home_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("window_at", "home_id", name="pk_rollup_marks"),
    )
    op.create_table(
        "rollup_progress",
        sa.Column("width_s", sa.Integer(), nullable=False),
        sa.Column("done_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("width_s", name="pk_rollup_progress"),
    )
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("stopped_at", sa.Double()),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_workers"),
    )


def _outages() -> None:
    op.create_table(
        "outages",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.Text(), nullable=False),
        sa.Column("began_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_outages"),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_outages_incident_id_incidents"),
    )
    op.create_index("ix_outages_area", "outages", ["area"])
    op.create_index("ix_outages_incident_id", "outages", ["incident_id"])
    op.create_table(
        "outage_homes",
        sa.Column("outage_id", sa.Text(), nullable=False),
        sa.Column("home_id", sa.Text(), nullable=False),
        sa.Column("gateway_id", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("back_at", sa.Double()),
        sa.PrimaryKeyConstraint("outage_id", "home_id", name="pk_outage_homes"),
        sa.ForeignKeyConstraint(["outage_id"], ["outages.id"], name="fk_outage_homes_outage_id_outages"),
        sa.ForeignKeyConstraint(["home_id"], ["homes.id"], name="fk_outage_homes_home_id_homes"),
        sa.ForeignKeyConstraint(["gateway_id"], ["gateways.id"], name="fk_outage_homes_gateway_id_gateways"),
    )
    op.create_table(
        "unprotected",
        sa.Column("home_id", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("minutes", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("home_id", "month", name="pk_unprotected"),
        sa.ForeignKeyConstraint(["home_id"], ["homes.id"], name="fk_unprotected_home_id_homes"),
    )


def downgrade() -> None:
    """Back to one row for each range; what the ledger holds is kept."""
    for table in ("unprotected", "outage_homes", "outages", "workers", "rollup_progress", "rollup_marks"):
        op.drop_table(table)
    op.drop_table("registry_version")
    op.drop_index("ix_gateways_offline_since", "gateways")
    op.drop_index("ix_quarantine_state_gateway_id", "quarantine")
    for table, column in (
        ("gateways", "offline_since"),
        ("gateways", "reported"),
        ("quarantine", "settled_at"),
        ("quarantine", "settled_by"),
        ("quarantine", "note"),
    ):
        op.drop_column(table, column)
    rows = op.get_bind().execute(
        sa.text("SELECT gateway_id, epoch, lane, CAST(ranges AS text), updated_at FROM ledger")
    )
    kept = [
        {"gateway_id": g, "epoch": e, "lane": n, "first": int(first), "last": int(end) - 1, "updated_at": at}
        for g, e, n, ranges, at in rows
        for first, end in re.findall(r"\[(\d+),(\d+)\)", ranges)
    ]
    op.drop_table("ledger")
    old = op.create_table(
        "ledger",
        sa.Column("gateway_id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("gateway_id", "epoch", "lane", "first", name="pk_ledger"),
    )
    op.bulk_insert(old, kept)
