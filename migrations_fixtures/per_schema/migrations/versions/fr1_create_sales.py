"""Create sales."""

import sqlalchemy as sa
from alembic import op

revision = "fr1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "sales",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("cents", sa.Integer, nullable=False),
        sa.Column("coupon", sa.String(20)),
    )


def downgrade():
    op.drop_table("sales")
