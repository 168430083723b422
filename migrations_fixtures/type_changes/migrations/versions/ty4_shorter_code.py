"""Shorten the code; nobody says what it was."""

import sqlalchemy as sa
from alembic import op

revision = "ty4"
down_revision = "ty3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE stations ALTER COLUMN code TYPE varchar(12)")


def downgrade() -> None:
    op.execute("ALTER TABLE stations ALTER COLUMN code TYPE varchar(16)")
