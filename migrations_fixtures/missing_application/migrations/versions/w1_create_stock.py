"""Create stock."""

import sqlalchemy as sa
from alembic import op

revision = "w1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "stock",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("item", sa.String(80), nullable=False),
        sa.Column("amount", sa.Integer, nullable=False),
    )


def downgrade():
    op.drop_table("stock")
