"""Index wards."""

import sqlalchemy as sa
from alembic import op

revision = "wa2"
down_revision = "wa1"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("ix_beds_ward", "beds", ["ward"])


def downgrade():
    op.drop_index("ix_beds_ward", "beds")
