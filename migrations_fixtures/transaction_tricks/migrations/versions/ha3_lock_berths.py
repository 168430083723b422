"""Lock the table and add a column."""

import sqlalchemy as sa
from alembic import op

revision = "ha3"
down_revision = "ha2"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("LOCK TABLE berths IN ACCESS EXCLUSIVE MODE")
    op.add_column("berths", sa.Column("metres", sa.Integer))


def downgrade():
    op.drop_column("berths", "metres")
