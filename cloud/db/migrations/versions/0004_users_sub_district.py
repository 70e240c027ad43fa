"""operators and supervisors of one sub-district"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """One column; who has none goes on seeing the whole district."""
    op.add_column("users", sa.Column("sub_district", sa.Text()))


def downgrade() -> None:
    """Everybody sees the whole district again."""
    op.drop_column("users", "sub_district")
