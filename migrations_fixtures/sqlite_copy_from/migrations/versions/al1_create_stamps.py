"""Create stamps."""

import sqlalchemy as sa
from alembic import op

revision = "al1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "stamps",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("country", sa.String(40)),
        sa.Column("year", sa.Integer),
        sa.Column("found_in", sa.String(80)),
    )


def downgrade():
    op.drop_table("stamps")
