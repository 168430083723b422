"""Create classes."""

import sqlalchemy as sa
from alembic import op

revision = "g3"
down_revision = "g2"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "classes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
    )


def downgrade():
    """Nothing: the table does no harm."""
