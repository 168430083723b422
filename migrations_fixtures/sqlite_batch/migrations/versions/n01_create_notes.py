"""Create notes and folders."""

import sqlalchemy as sa
from alembic import op

revision = "n01"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "folders",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
    )
    op.create_table(
        "notes",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("title", sa.String(80), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("colour", sa.String(10), nullable=True),
        sa.Column("stars", sa.Integer(), nullable=True),
    )


def downgrade() -> None:
    op.drop_table("notes")
    op.drop_table("folders")
