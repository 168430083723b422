"""Create stations."""

import sqlalchemy as sa
from alembic import op

revision = "ty1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stations",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("code", sa.String(8), nullable=False),
        sa.Column("readings", sa.Integer(), nullable=False),
        sa.Column("height", sa.Numeric(6, 1), nullable=True),
        sa.Column("remark", sa.String(100), nullable=True),
    )


def downgrade() -> None:
    op.drop_table("stations")
