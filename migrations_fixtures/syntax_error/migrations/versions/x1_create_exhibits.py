"""Create exhibits."""

import sqlalchemy as sa
from alembic import op

revision = "x1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "exhibits",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("label", sa.String(200), nullable=False),
    )


def downgrade():
    op.drop_table("exhibits")
