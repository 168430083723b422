"""Add the first name."""

import sqlalchemy as sa
from alembic import op

revision = "d2"
down_revision = "d1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscribers", sa.Column("first_name", sa.String(80)))


def downgrade() -> None:
    op.drop_column("subscribers", "first_name")
