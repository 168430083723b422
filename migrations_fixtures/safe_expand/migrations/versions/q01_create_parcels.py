"""Create depots and parcels."""

import sqlalchemy as sa
from alembic import op

revision = "q01"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "depots",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
    )
    op.create_table(
        "parcels",
        sa.Column("id", sa.BigInteger(), primary_key=True),
        sa.Column("barcode", sa.String(30)),
        sa.Column("grams", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(40)),
    )


def downgrade() -> None:
    op.drop_table("parcels")
    op.drop_table("depots")
