"""Check the old parcels."""

import sqlalchemy as sa
from alembic import op

revision = "q08"
down_revision = "q07"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE parcels VALIDATE CONSTRAINT ck_parcels_barcode")


def downgrade() -> None:
    pass
