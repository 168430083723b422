"""Widen totals to 64 bits and notes to a thousand characters.

Revises: b012
"""

import sqlalchemy as sa
from alembic import op

revision = "b013"
down_revision = "b012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("bookings") as batch:
        batch.alter_column(
            "total_cents",
            existing_type=sa.Integer(),
            type_=sa.BigInteger(),
            existing_nullable=False,
        )
        batch.alter_column(
            "notes",
            existing_type=sa.String(200),
            type_=sa.String(1000),
            existing_nullable=True,
        )


def downgrade() -> None:
    with op.batch_alter_table("bookings") as batch:
        batch.alter_column(
            "notes",
            existing_type=sa.String(1000),
            type_=sa.String(200),
            existing_nullable=True,
        )
        batch.alter_column(
            "total_cents",
            existing_type=sa.BigInteger(),
            type_=sa.Integer(),
            existing_nullable=False,
        )
