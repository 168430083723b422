"""Drop the colour."""

import sqlalchemy as sa
from alembic import op

revision = "to2"
down_revision = "to1"
branch_labels = None
depends_on = None


def upgrade():
    op.drop_column("toys", "colour")


def downgrade():
    op.add_column("toys", sa.Column("colour", sa.String(20)))
