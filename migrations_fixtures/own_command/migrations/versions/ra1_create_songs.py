"""Create songs."""

import sqlalchemy as sa
from alembic import op

revision = "ra1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "songs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.String(120), nullable=False),
        sa.Column("year", sa.Integer),
    )


def downgrade():
    op.drop_table("songs")
