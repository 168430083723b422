"""Add the aisle."""

import sqlalchemy as sa
from alembic import op

revision = "w2"
down_revision = "w1"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("stock", sa.Column("aisle", sa.String(4)))


def downgrade():
    op.drop_column("stock", "aisle")
