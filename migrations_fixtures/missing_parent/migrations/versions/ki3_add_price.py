"""Add the price (the file of ki2 was never committed)."""

import sqlalchemy as sa
from alembic import op

revision = "ki3"
down_revision = "ki2"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("papers", sa.Column("price", sa.Integer))


def downgrade():
    op.drop_column("papers", "price")
