"""Add the lender."""

import sqlalchemy as sa
from alembic import op

revision = "x3"
down_revision = "x2"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("exhibits", sa.Column("lender", sa.String(120)))


def downgrade():
    op.drop_column("exhibits", "lender")
