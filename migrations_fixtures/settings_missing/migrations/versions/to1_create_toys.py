"""Create toys."""

import sqlalchemy as sa
from alembic import op

revision = "to1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "toys",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("colour", sa.String(20)),
    )


def downgrade():
    op.drop_table("toys")
