"""Give every booking without a reference one made of its number.

Revises: b010
"""

import sqlalchemy as sa
from alembic import op

revision = "b011"
down_revision = "b010"
branch_labels = None
depends_on = None

bookings = sa.table("bookings", sa.column("id", sa.Integer), sa.column("reference", sa.String(24)))


def upgrade() -> None:
    op.execute(
        bookings.update()
        .where(bookings.c.reference.is_(None))
        .values(reference="BK-" + sa.cast(bookings.c.id, sa.String))
    )


def downgrade() -> None:
    op.execute(bookings.update().values(reference=None))
