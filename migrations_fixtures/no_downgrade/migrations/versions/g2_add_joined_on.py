"""Add the day a member joined."""

import sqlalchemy as sa
from alembic import op

revision = "g2"
down_revision = "g1"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("members", sa.Column("joined_on", sa.Date))
