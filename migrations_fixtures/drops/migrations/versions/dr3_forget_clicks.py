"""Forget clicks."""

import sqlalchemy as sa
from alembic import op

revision = "dr3"
down_revision = "dr2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("TRUNCATE clicks RESTART IDENTITY")


def downgrade() -> None:
    pass
