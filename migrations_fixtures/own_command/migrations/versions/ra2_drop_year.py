"""Drop the year."""

import sqlalchemy as sa
from alembic import op

revision = "ra2"
down_revision = "ra1"
branch_labels = None
depends_on = None


def upgrade():
    op.drop_column("songs", "year")


def downgrade():
    op.add_column("songs", sa.Column("year", sa.Integer))
