"""tokens and certificates of gateways"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Two new tables."""
    op.create_table(
        "enrolment_tokens",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("gateway_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("used_at", sa.Double()),
        sa.Column("used_key", sa.Text()),
        sa.PrimaryKeyConstraint("token_hash", name="pk_enrolment_tokens"),
        sa.ForeignKeyConstraint(["gateway_id"], ["gateways.id"], name="fk_enrolment_tokens_gateway_id_gateways"),
    )
    op.create_index("ix_enrolment_tokens_gateway_id", "enrolment_tokens", ["gateway_id"])
    op.create_table(
        "certificates",
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("gateway_id", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("revoked_at", sa.Double()),
        sa.PrimaryKeyConstraint("serial", name="pk_certificates"),
        sa.ForeignKeyConstraint(["gateway_id"], ["gateways.id"], name="fk_certificates_gateway_id_gateways"),
    )
    op.create_index("ix_certificates_gateway_id", "certificates", ["gateway_id"])


def downgrade() -> None:
    """The certificates themselves go on being valid; only who has which is forgotten."""
    op.drop_table("certificates")
    op.drop_table("enrolment_tokens")
