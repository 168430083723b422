"""Create tickets."""

import sqlalchemy as sa
from alembic import op

revision = "z1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.execute(
        """
        CREATE TABLE agents (id integer PRIMARY KEY, name text NOT NULL);
        CREATE TABLE tickets (
            id integer PRIMARY KEY,
            subject text NOT NULL,
            agent_id integer,
            legacy_code text
        );
        """
    )


def downgrade():
    op.execute("DROP TABLE tickets; DROP TABLE agents;")
