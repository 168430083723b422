"""Create cars."""

import sqlalchemy as sa
from alembic import op

revision = "va1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "cars",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("axles", sa.Integer, nullable=False),
    )


def downgrade():
    op.drop_table("cars")
