"""Create trips: they name a vehicle by its plate."""

import sqlalchemy as sa
from alembic import op

revision = "t2"
down_revision = "t1"
branch_labels = None
depends_on = ("v2",)


def upgrade():
    op.create_table(
        "trips",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("driver_id", sa.Integer, sa.ForeignKey("drivers.id"), nullable=False),
        sa.Column("plate", sa.String(12), sa.ForeignKey("vehicles.plate"), nullable=False),
    )


def downgrade():
    op.drop_table("trips")
