"""Require the reference, and let no two bookings share one.

Revises: b011
"""

import sqlalchemy as sa
from alembic import op

revision = "b012"
down_revision = "b011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("bookings") as batch:
        batch.alter_column("reference", existing_type=sa.String(24), nullable=False)
        batch.create_unique_constraint("uq_bookings_reference", ["reference"])


def downgrade() -> None:
    with op.batch_alter_table("bookings") as batch:
        batch.drop_constraint("uq_bookings_reference", type_="unique")
        batch.alter_column("reference", existing_type=sa.String(24), nullable=True)
