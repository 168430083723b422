"""Create the partition of 2026 apart, and attach it."""

import sqlalchemy as sa
from alembic import op

revision = "pa2"
down_revision = "pa1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE crossings_2026 (at date NOT NULL, plate text)")
    op.execute(
        "ALTER TABLE crossings ATTACH PARTITION crossings_2026"
        " FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
    )


def downgrade() -> None:
    op.execute("DROP TABLE crossings_2026")
