"""Move rows inside a WITH."""

import sqlalchemy as sa
from alembic import op

revision = "z3"
down_revision = "z2"
branch_labels = None
depends_on = None


def upgrade():
    op.execute(
        "WITH gone AS (DELETE FROM tickets WHERE subject = '' RETURNING agent_id)"
        " SELECT count(*) FROM gone"
    )


def downgrade():
    pass
