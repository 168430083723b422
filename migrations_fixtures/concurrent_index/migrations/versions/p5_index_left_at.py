"""Index stays by when they ended, the blocking way."""

import sqlalchemy as sa
from alembic import op

revision = "p5"
down_revision = "p4"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("ix_stays_left_at", "stays", ["left_at"])


def downgrade():
    op.drop_index("ix_stays_left_at", "stays")
