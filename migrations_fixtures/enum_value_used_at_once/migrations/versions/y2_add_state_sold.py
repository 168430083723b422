"""Add the state of what was sold."""

import sqlalchemy as sa
from alembic import op

revision = "y2"
down_revision = "y1"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("ALTER TYPE item_state ADD VALUE 'sold'")


def downgrade():
    pass
