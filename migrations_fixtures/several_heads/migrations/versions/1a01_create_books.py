"""Create books."""

import sqlalchemy as sa
from alembic import op

revision = "1a01"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "books",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("shelf", sa.String(20)),
    )


def downgrade():
    op.drop_table("books")
