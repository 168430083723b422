"""Create deeds."""

import sqlalchemy as sa
from alembic import op

revision = "ac1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "deeds",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("owner_name", sa.String(120), nullable=False),
    )


def downgrade():
    op.drop_table("deeds")
