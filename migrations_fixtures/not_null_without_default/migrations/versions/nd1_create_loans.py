"""Create loans."""

import sqlalchemy as sa
from alembic import op

revision = "nd1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "loans",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("item", sa.String(80), nullable=False),
    )


def downgrade():
    op.drop_table("loans")
