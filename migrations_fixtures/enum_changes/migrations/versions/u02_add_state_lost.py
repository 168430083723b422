"""Add the state of a thing that was lost."""

import sqlalchemy as sa
from alembic import op

revision = "u02"
down_revision = "u01"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("ALTER TYPE repair_state ADD VALUE IF NOT EXISTS 'lost'")


def downgrade() -> None:
    pass
