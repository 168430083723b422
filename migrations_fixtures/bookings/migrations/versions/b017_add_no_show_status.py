"""Add the status of a guest who never came.

Revises: b016
"""

from alembic import op

revision = "b017"
down_revision = "b016"
branch_labels = None
depends_on = None


def allow(*statuses: str) -> None:
    """SQLite has no enum types: the column is text with a check on it."""
    words = ", ".join(f"'{status}'" for status in statuses)
    with op.batch_alter_table("bookings") as batch:
        batch.drop_constraint("booking_status", type_="check")
        batch.create_check_constraint("booking_status", f"status IN ({words})")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        # Its own transaction: a later revision may use the new value at once.
        with op.get_context().autocommit_block():
            op.execute("ALTER TYPE booking_status ADD VALUE IF NOT EXISTS 'no_show'")
    else:
        allow("pending", "confirmed", "cancelled", "no_show")


def downgrade() -> None:
    op.execute("UPDATE bookings SET status = 'cancelled' WHERE status = 'no_show'")
    if op.get_bind().dialect.name == "postgresql":
        # PostgreSQL can't take a value out of an enum: a new type takes the place of the old one.
        op.execute("ALTER TYPE booking_status RENAME TO booking_status_old")
        op.execute("CREATE TYPE booking_status AS ENUM ('pending', 'confirmed', 'cancelled')")
        op.execute(
            "ALTER TABLE bookings ALTER COLUMN status TYPE booking_status"
            " USING status::text::booking_status"
        )
        op.execute("DROP TYPE booking_status_old")
    else:
        allow("pending", "confirmed", "cancelled")
