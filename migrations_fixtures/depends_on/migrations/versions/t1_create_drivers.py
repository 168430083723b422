"""Create drivers."""

import sqlalchemy as sa
from alembic import op

revision = "t1"
down_revision = None
branch_labels = ("trips",)
depends_on = None


def upgrade():
    op.create_table(
        "drivers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
    )


def downgrade():
    op.drop_table("drivers")
