"""Index tickets by seat, unless an operator did it by hand already."""

import sqlalchemy as sa
from alembic import op

revision = "h2"
down_revision = "h1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    existing = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("tickets")}
    if "ix_tickets_seat_id" not in existing:
        op.create_index("ix_tickets_seat_id", "tickets", ["seat_id"])


def downgrade() -> None:
    op.drop_index("ix_tickets_seat_id", "tickets")
