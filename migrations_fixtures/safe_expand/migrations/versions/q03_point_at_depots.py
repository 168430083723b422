"""Point parcels at depots, without looking at old rows."""

import sqlalchemy as sa
from alembic import op

revision = "q03"
down_revision = "q02"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_foreign_key(
        "fk_parcels_depot_id", "parcels", "depots", ["depot_id"], ["id"], postgresql_not_valid=True
    )


def downgrade() -> None:
    op.drop_constraint("fk_parcels_depot_id", "parcels", type_="foreignkey")
