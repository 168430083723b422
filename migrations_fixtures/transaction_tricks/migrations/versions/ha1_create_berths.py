"""Create berths."""

import sqlalchemy as sa
from alembic import op

revision = "ha1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "berths",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("quay", sa.String(20), nullable=False),
    )


def downgrade():
    op.drop_table("berths")
