"""Index bookings by their start, for the calendar.

Revises: b005
"""

from alembic import op

revision = "b006"
down_revision = "b005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_bookings_starts_at", "bookings", ["starts_at"])


def downgrade() -> None:
    op.drop_index("ix_bookings_starts_at", table_name="bookings")
