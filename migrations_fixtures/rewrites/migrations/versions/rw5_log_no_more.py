"""Keep transfers out of the write-ahead log."""

import sqlalchemy as sa
from alembic import op

revision = "rw5"
down_revision = "rw4"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("ALTER TABLE transfers SET UNLOGGED")


def downgrade():
    op.execute("ALTER TABLE transfers SET LOGGED")
