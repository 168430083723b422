"""Create tools."""

import sqlalchemy as sa
from alembic import op

revision = "ts1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tools",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("price", sa.Integer()),
    )


def downgrade() -> None:
    op.drop_table("tools")
