"""Index sales."""

import sqlalchemy as sa
from alembic import op

revision = "ga3"
down_revision = "ga2"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("ix_sales_cents", "sales", ["cents"])


def downgrade():
    op.drop_index("ix_sales_cents", "sales")
