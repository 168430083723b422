"""Rename the title to heading."""

import sqlalchemy as sa
from alembic import op

revision = "n06"
down_revision = "n05"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("notes") as batch:
        batch.alter_column(
            "title",
            new_column_name="heading",
            existing_type=sa.String(80),
            existing_nullable=False,
        )


def downgrade() -> None:
    with op.batch_alter_table("notes") as batch:
        batch.alter_column(
            "heading",
            new_column_name="title",
            existing_type=sa.String(80),
            existing_nullable=False,
        )
