"""Make a table for the work of one evening, and drop it."""

import sqlalchemy as sa
from alembic import op

revision = "dr6"
down_revision = "dr5"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("evening", sa.Column("id", sa.Integer(), primary_key=True))
    op.drop_table("evening")


def downgrade() -> None:
    pass
