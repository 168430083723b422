"""Create items."""

import sqlalchemy as sa
from alembic import op

revision = "y1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "items",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("state", sa.Enum("found", "returned", name="item_state"), nullable=False),
    )


def downgrade():
    op.drop_table("items")
    op.execute("DROP TYPE item_state")
