"""End Alembic's transaction by hand to build an index concurrently."""

import sqlalchemy as sa
from alembic import op

revision = "ha2"
down_revision = "ha1"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("COMMIT")
    op.execute("CREATE INDEX CONCURRENTLY ix_berths_quay ON berths (quay)")


def downgrade():
    op.drop_index("ix_berths_quay", "berths")
