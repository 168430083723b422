"""Make the index a constraint: no scan is needed."""

import sqlalchemy as sa
from alembic import op

revision = "q06"
down_revision = "q05"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE parcels"
        " ADD CONSTRAINT uq_parcels_barcode UNIQUE USING INDEX uq_parcels_barcode"
    )


def downgrade() -> None:
    op.drop_constraint("uq_parcels_barcode", "parcels", type_="unique")
