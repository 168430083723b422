"""What comes in is sold."""

import sqlalchemy as sa
from alembic import op

revision = "y3"
down_revision = "y2"
branch_labels = None
depends_on = None


def upgrade():
    op.alter_column("items", "state", server_default="sold")


def downgrade():
    op.alter_column("items", "state", server_default=None)
