"""Call waiting by its new name."""

import sqlalchemy as sa
from alembic import op

revision = "u03"
down_revision = "u02"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TYPE repair_state RENAME VALUE 'waiting' TO 'awaiting_parts'")


def downgrade() -> None:
    op.execute("ALTER TYPE repair_state RENAME VALUE 'awaiting_parts' TO 'waiting'")
