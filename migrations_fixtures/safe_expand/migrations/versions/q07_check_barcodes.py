"""Check that new parcels have a barcode."""

import sqlalchemy as sa
from alembic import op

revision = "q07"
down_revision = "q06"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_check_constraint(
        "ck_parcels_barcode", "parcels", "barcode IS NOT NULL", postgresql_not_valid=True
    )


def downgrade() -> None:
    op.drop_constraint("ck_parcels_barcode", "parcels", type_="check")
