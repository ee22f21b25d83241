"""Whose an analysis is, where people log in; "" for everything that was kept before."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("analysis", sa.Column("owner", sa.Text(), nullable=False, server_default=""))
    op.create_index("analysis_owner", "analysis", ["owner"])


def downgrade() -> None:
    op.drop_index("analysis_owner", "analysis")
    op.drop_column("analysis", "owner")
