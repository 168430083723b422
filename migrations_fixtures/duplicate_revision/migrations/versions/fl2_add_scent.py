"""Add the scent (copied, and the id was not changed)."""

import sqlalchemy as sa
from alembic import op

revision = "fl2"
down_revision = "fl1"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("flowers", sa.Column("scent", sa.String(20)))


def downgrade():
    op.drop_column("flowers", "scent")
