"""Rename guests.fullname to full_name.

Revises: b007
"""

import sqlalchemy as sa
from alembic import op

revision = "b008"
down_revision = "b007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("guests") as batch:
        batch.alter_column(
            "fullname",
            new_column_name="full_name",
            existing_type=sa.String(200),
            existing_nullable=False,
        )


def downgrade() -> None:
    with op.batch_alter_table("guests") as batch:
        batch.alter_column(
            "full_name",
            new_column_name="fullname",
            existing_type=sa.String(200),
            existing_nullable=False,
        )
