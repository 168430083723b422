"""Create scans, with all that a new table may have."""

import sqlalchemy as sa
from alembic import op

revision = "q11"
down_revision = "q10"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scans",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("parcel_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now()),
        sa.Column("grams", sa.Integer()),
    )
    op.create_index("ix_scans_parcel_id", "scans", ["parcel_id"])
    op.create_check_constraint("ck_scans_grams", "scans", "grams > 0")
    op.alter_column("scans", "at", existing_type=sa.DateTime(timezone=True), nullable=False)
    op.create_unique_constraint("uq_scans", "scans", ["parcel_id", "at"])


def downgrade() -> None:
    op.drop_table("scans")
