"""Create crossings, by year."""

import sqlalchemy as sa
from alembic import op

revision = "pa1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE crossings (at date NOT NULL, plate text) PARTITION BY RANGE (at)")
    op.execute(
        "CREATE TABLE crossings_2025 PARTITION OF crossings"
        " FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')"
    )


def downgrade() -> None:
    op.execute("DROP TABLE crossings")
