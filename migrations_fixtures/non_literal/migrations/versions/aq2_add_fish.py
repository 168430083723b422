"""Create fish."""

import sqlalchemy as sa
from alembic import op

PREVIOUS = "aq1"

revision = "aq2"
down_revision = PREVIOUS
branch_labels = tuple(name.lower() for name in ("Fish",))
depends_on = None


def upgrade():
    op.create_table(
        "fish",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("tank_id", sa.Integer, sa.ForeignKey("tanks.id"), nullable=False),
    )


def downgrade():
    op.drop_table("fish")
