"""Create stops, which can be deleted softly."""

import sqlalchemy as sa
from alembic import op

revision = "tr1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "stops",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
    )
    op.add_soft_delete("stops")
    op.create_table("lines", sa.Column("id", sa.Integer, primary_key=True))


def downgrade():
    op.drop_table("lines")
    op.drop_table("stops")
