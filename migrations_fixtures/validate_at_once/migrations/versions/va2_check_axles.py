"""Check axles, not valid first."""

import sqlalchemy as sa
from alembic import op

revision = "va2"
down_revision = "va1"
branch_labels = None
depends_on = None


def upgrade():
    op.create_check_constraint("ck_cars_axles", "cars", "axles > 1", postgresql_not_valid=True)


def downgrade():
    op.drop_constraint("ck_cars_axles", "cars", type_="check")
