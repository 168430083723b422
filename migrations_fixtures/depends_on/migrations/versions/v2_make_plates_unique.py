"""Make number plates unique."""

import sqlalchemy as sa
from alembic import op

revision = "v2"
down_revision = "v1"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("uq_vehicles_plate", "vehicles", ["plate"], unique=True)


def downgrade():
    op.drop_index("uq_vehicles_plate", "vehicles")
