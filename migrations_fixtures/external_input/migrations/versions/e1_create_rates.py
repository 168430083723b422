"""Create rates."""

import sqlalchemy as sa
from alembic import op

revision = "e1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "rates",
        sa.Column("code", sa.String(2), primary_key=True),
        sa.Column("percent", sa.Numeric(5, 2), nullable=False),
    )


def downgrade():
    op.drop_table("rates")
