"""Lines can be deleted softly, stops no longer."""

import sqlalchemy as sa
from alembic import op

revision = "tr2"
down_revision = "tr1"
branch_labels = None
depends_on = None


def upgrade():
    op.add_soft_delete("lines")
    op.drop_soft_delete("stops")


def downgrade():
    op.add_soft_delete("stops")
    op.drop_soft_delete("lines")
