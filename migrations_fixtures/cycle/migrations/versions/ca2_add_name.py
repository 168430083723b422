"""Add the name."""

import sqlalchemy as sa
from alembic import op

revision = "ca2"
down_revision = "ca1"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("horses", sa.Column("name", sa.String(20)))


def downgrade():
    op.drop_column("horses", "name")
