"""The check proves it: NOT NULL needs no scan, and takes the place of the check."""

import sqlalchemy as sa
from alembic import op

revision = "q09"
down_revision = "q08"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("parcels", "barcode", existing_type=sa.String(30), nullable=False)
    op.drop_constraint("ck_parcels_barcode", "parcels", type_="check")


def downgrade() -> None:
    op.create_check_constraint(
        "ck_parcels_barcode", "parcels", "barcode IS NOT NULL", postgresql_not_valid=True
    )
    op.alter_column("parcels", "barcode", existing_type=sa.String(30), nullable=True)
