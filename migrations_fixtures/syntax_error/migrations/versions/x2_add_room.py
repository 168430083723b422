"""Add the room."""

import sqlalchemy as sa
from alembic import op

revision = "x2"
down_revision = "x1"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("exhibits", sa.Column("room", sa.String(20))


def downgrade():
    op.drop_column("exhibits", "room")
