"""Create trees."""

import sqlalchemy as sa
from alembic import op

revision = "or1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "trees",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(40), nullable=False),
    )


def downgrade():
    op.drop_table("trees")
