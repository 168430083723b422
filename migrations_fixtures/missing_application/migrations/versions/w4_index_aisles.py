"""Index aisles."""

import sqlalchemy as sa
from alembic import op

revision = "w4"
down_revision = "w3"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("ix_stock_aisle", "stock", ["aisle"])


def downgrade():
    op.drop_index("ix_stock_aisle", "stock")
