"""Create orders."""

import sqlalchemy as sa
from alembic import op

revision = "51c0"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("loaves", sa.Integer, nullable=False),
    )


def downgrade():
    op.drop_table("orders")
