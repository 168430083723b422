"""Create stays."""

import sqlalchemy as sa
from alembic import op

revision = "p1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "stays",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("plate", sa.String(12), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True)),
    )
    op.create_index("ix_stays_plate", "stays", ["plate"])


def downgrade():
    op.drop_table("stays")
