"""Create plants."""

import sqlalchemy as sa
from alembic import op

revision = "ga2"
down_revision = "ga1"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "plants",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
    )


def downgrade():
    op.drop_table("plants")
