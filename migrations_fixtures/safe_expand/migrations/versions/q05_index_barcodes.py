"""Index barcodes without blocking."""

import sqlalchemy as sa
from alembic import op

revision = "q05"
down_revision = "q04"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "uq_parcels_barcode",
            "parcels",
            ["barcode"],
            unique=True,
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        # The revision after this one may have made it a constraint, whose removal drops the index.
        op.drop_index(
            "uq_parcels_barcode", "parcels", postgresql_concurrently=True, if_exists=True
        )
