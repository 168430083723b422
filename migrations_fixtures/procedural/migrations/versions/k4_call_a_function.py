"""Let a function on the server do the work."""

import sqlalchemy as sa
from alembic import op

revision = "k4"
down_revision = "k3"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("SELECT setval('readings_id_seq', 1000, false)")
    op.execute("SELECT pg_notify('readings', 'moved')")


def downgrade():
    pass
