"""Create beds."""

import sqlalchemy as sa
from alembic import op

revision = "wa1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "beds",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("ward", sa.String(10), nullable=False),
    )


def downgrade():
    op.drop_table("beds")
