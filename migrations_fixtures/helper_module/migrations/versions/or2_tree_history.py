"""Remember when a tree was planted."""

import sqlalchemy as sa
from alembic import op

from orchard.history import add_history, drop_history

revision = "or2"
down_revision = "or1"


def upgrade():
    add_history("trees")
    op.add_column("trees", sa.Column("row_number", sa.Integer))


def downgrade():
    op.drop_column("trees", "row_number")
    drop_history("trees")
