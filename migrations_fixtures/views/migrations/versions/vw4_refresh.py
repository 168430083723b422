"""Fill the materialized view anew."""

import sqlalchemy as sa
from alembic import op

revision = "vw4"
down_revision = "vw3"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("REFRESH MATERIALIZED VIEW best")


def downgrade():
    pass
