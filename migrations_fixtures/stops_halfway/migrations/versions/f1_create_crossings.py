"""Create crossings."""

import sqlalchemy as sa
from alembic import op

revision = "f1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "crossings",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("leaves_at", sa.DateTime(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("crossings")
