"""Add a column under a name that was just given up."""

import sqlalchemy as sa
from alembic import op

revision = "a5"
down_revision = "a4"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("residents", sa.Column("nickname", sa.String(40)))


def downgrade():
    op.drop_column("residents", "nickname")
