"""Add the running time."""

import sqlalchemy as sa
from alembic import op

revision = "c002"
down_revision = "c001"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("films", sa.Column("minutes", sa.Integer))


def downgrade():
    op.drop_column("films", "minutes")
