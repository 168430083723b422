"""Create readings."""

import sqlalchemy as sa
from alembic import op

revision = "k1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "readings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("meter", sa.String(20), nullable=False),
        sa.Column("kwh", sa.Numeric(12, 3), nullable=False),
        sa.Column("changed_at", sa.DateTime),
    )


def downgrade():
    op.drop_table("readings")
