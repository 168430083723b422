"""Create singers."""

import sqlalchemy as sa
from alembic import op

revision = "ch1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "singers",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("sort_name", sa.String(80)),
    )


def downgrade() -> None:
    op.drop_table("singers")
