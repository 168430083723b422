"""Add the delay in minutes."""

import sqlalchemy as sa
from alembic import op

revision = "f3"
down_revision = "f2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("crossings", sa.Column("delay", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("crossings", "delay")
