"""Create nights."""

import sqlalchemy as sa
from alembic import op

revision = "o1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "nights",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("date", sa.Date, nullable=False),
        sa.Column("seeing", sa.Float),
    )


def downgrade():
    op.drop_table("nights")
