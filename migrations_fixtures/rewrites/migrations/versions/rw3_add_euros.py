"""Add euros, computed and stored."""

import sqlalchemy as sa
from alembic import op

revision = "rw3"
down_revision = "rw2"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column(
        "transfers", sa.Column("euros", sa.Numeric(12, 2), sa.Computed("cents / 100.0", persisted=True))
    )


def downgrade():
    op.drop_column("transfers", "euros")
