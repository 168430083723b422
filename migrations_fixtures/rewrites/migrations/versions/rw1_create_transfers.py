"""Create transfers."""

import sqlalchemy as sa
from alembic import op

revision = "rw1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "transfers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("cents", sa.Integer, nullable=False),
    )


def downgrade():
    op.drop_table("transfers")
