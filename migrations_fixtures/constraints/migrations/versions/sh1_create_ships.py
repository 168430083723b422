"""Create ports and ships."""

import sqlalchemy as sa
from alembic import op

revision = "sh1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ports",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
    )
    op.create_table(
        "ships",
        sa.Column("imo", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("port_id", sa.Integer(), nullable=True),
        sa.Column("tons", sa.Integer(), nullable=True),
    )


def downgrade() -> None:
    op.drop_table("ships")
    op.drop_table("ports")
