"""Add the depot, empty at first, and a note with a constant default."""

import sqlalchemy as sa
from alembic import op

revision = "q02"
down_revision = "q01"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.add_column("parcels", sa.Column("depot_id", sa.Integer(), nullable=True))
    op.add_column("parcels", sa.Column("note", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "parcels",
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.func.now()),
    )


def downgrade() -> None:
    op.drop_column("parcels", "seen_at")
    op.drop_column("parcels", "note")
    op.drop_column("parcels", "depot_id")
