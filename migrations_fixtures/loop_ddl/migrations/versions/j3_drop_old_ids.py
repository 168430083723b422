"""Drop the number of the old system from every table but the first."""

import sqlalchemy as sa
from alembic import op

revision = "j3"
down_revision = "j2"
branch_labels = None
depends_on = None


def drop(table: str, column: str) -> None:
    op.drop_column(table, column)


def upgrade():
    [drop(table, "old_id") for table in ("rooms", "minibars")]


def downgrade():
    for table in ("rooms", "minibars"):
        op.add_column(table, sa.Column("old_id", sa.Integer))
