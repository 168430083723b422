"""Create shows."""

import sqlalchemy as sa
from alembic import op

revision = "ve1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "shows",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.String(120), nullable=False),
        sa.Column("poster", sa.String(200)),
    )


def downgrade():
    op.drop_table("shows")
