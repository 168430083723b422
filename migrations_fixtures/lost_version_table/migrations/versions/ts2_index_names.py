"""Index names."""

import sqlalchemy as sa
from alembic import op

revision = "ts2"
down_revision = "ts1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_tools_name", "tools", ["name"])


def downgrade() -> None:
    op.drop_index("ix_tools_name", "tools")
