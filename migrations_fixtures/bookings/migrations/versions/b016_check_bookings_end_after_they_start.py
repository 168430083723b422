"""Check that a booking ends after it starts.

Revises: b015
"""

from alembic import op

revision = "b016"
down_revision = "b015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("bookings") as batch:
        batch.create_check_constraint("ck_bookings_ends_after_start", "ends_at > starts_at")


def downgrade() -> None:
    with op.batch_alter_table("bookings") as batch:
        batch.drop_constraint("ck_bookings_ends_after_start", type_="check")
