"""Add a view."""

import sqlalchemy as sa
from alembic import op

revision = "vw2"
down_revision = "vw1"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("CREATE VIEW large_sales AS SELECT id FROM sales WHERE cents > 10000")


def downgrade():
    op.execute("DROP VIEW large_sales")
