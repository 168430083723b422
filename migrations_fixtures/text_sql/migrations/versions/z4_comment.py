"""Say what the source is for."""

import sqlalchemy as sa
from alembic import op

revision = "z4"
down_revision = "z3"
branch_labels = None
depends_on = None


def upgrade():
    op.execute(sa.text("COMMENT ON COLUMN tickets.source IS 'where it came from'; ANALYZE tickets"))


def downgrade():
    op.execute("COMMENT ON COLUMN tickets.source IS NULL")
