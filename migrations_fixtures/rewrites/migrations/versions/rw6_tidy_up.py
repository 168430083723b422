"""Write the table anew, outside a transaction."""

import sqlalchemy as sa
from alembic import op

revision = "rw6"
down_revision = "rw5"
branch_labels = None
depends_on = None


def upgrade():
    with op.get_context().autocommit_block():
        op.execute("VACUUM FULL transfers")
        op.execute("CLUSTER transfers USING transfers_pkey")
        op.execute("REINDEX TABLE transfers")


def downgrade():
    pass
