"""Create invoices."""

import sqlalchemy as sa
from alembic import op

revision = "bi01"
down_revision = None
branch_labels = ("billing",)
depends_on = None


def upgrade():
    op.create_table(
        "invoices",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("cents", sa.Integer, nullable=False),
    )


def downgrade():
    op.drop_table("invoices")
