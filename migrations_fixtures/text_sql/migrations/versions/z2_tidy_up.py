"""Several changes in one string, with a comment and a semicolon in a literal."""

import sqlalchemy as sa
from alembic import op

revision = "z2"
down_revision = "z1"
branch_labels = None
depends_on = None


def upgrade():
    op.execute(
        """
        -- no one reads the code; DROP TABLE is for later
        ALTER TABLE tickets ADD COLUMN source text DEFAULT 'mail; phone';
        ALTER TABLE tickets DROP COLUMN legacy_code;
        CREATE INDEX ix_tickets_agent_id ON tickets (agent_id);
        """
    )


def downgrade():
    op.execute(
        "DROP INDEX ix_tickets_agent_id;"
        " ALTER TABLE tickets DROP COLUMN source;"
        " ALTER TABLE tickets ADD COLUMN legacy_code text;"
    )
