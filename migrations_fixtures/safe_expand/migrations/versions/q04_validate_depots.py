"""Look at old rows, in a transaction of its own."""

import sqlalchemy as sa
from alembic import op

revision = "q04"
down_revision = "q03"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE parcels VALIDATE CONSTRAINT fk_parcels_depot_id")


def downgrade() -> None:
    pass
