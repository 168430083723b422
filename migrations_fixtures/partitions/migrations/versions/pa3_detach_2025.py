"""Detach the partition of 2025, blocking."""

import sqlalchemy as sa
from alembic import op

revision = "pa3"
down_revision = "pa2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE crossings DETACH PARTITION crossings_2025")


def downgrade() -> None:
    op.execute(
        "ALTER TABLE crossings ATTACH PARTITION crossings_2025"
        " FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')"
    )
