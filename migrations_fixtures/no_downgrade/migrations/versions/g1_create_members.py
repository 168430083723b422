"""Create members."""

import sqlalchemy as sa
from alembic import op

revision = "g1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "members",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("locker", sa.Integer),
    )


def downgrade():
    op.drop_table("members")
