"""Create horses."""

import sqlalchemy as sa
from alembic import op

revision = "ca1"
down_revision = "ca2"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table("horses", sa.Column("id", sa.Integer, primary_key=True))


def downgrade():
    op.drop_table("horses")
