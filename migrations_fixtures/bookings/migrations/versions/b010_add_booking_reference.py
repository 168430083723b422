"""Add the reference that a guest is given, empty at first.

Revises: b009
"""

import sqlalchemy as sa
from alembic import op

revision = "b010"
down_revision = "b009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("bookings", sa.Column("reference", sa.String(24), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("bookings") as batch:
        batch.drop_column("reference")
