"""Note when a row changed, and index it, in every table."""

import sqlalchemy as sa
from alembic import op

revision = "j2"
down_revision = "j1"
branch_labels = None
depends_on = None


TABLES = ["houses", "rooms", "minibars"]


def upgrade():
    for table in TABLES:
        op.add_column(table, sa.Column("changed_at", sa.DateTime))
        op.create_index(f"ix_{table}_changed_at", table, ["changed_at"])


def downgrade():
    for table in reversed(TABLES):
        op.drop_index(f"ix_{table}_changed_at", table)
        op.drop_column(table, "changed_at")
