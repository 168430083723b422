"""Drop an index the blocking way."""

import sqlalchemy as sa
from alembic import op

revision = "p6"
down_revision = "p5"
branch_labels = None
depends_on = None


def upgrade():
    op.drop_index("ix_stays_level", "stays")


def downgrade():
    op.create_index("ix_stays_level", "stays", ["level"])
