"""Create vehicles."""

import sqlalchemy as sa
from alembic import op

revision = "v1"
down_revision = None
branch_labels = ("vehicles",)
depends_on = None


def upgrade():
    op.create_table(
        "vehicles",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("plate", sa.String(12), nullable=False),
    )


def downgrade():
    op.drop_table("vehicles")
