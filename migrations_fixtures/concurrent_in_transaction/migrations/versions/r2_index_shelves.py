"""Index shelves without blocking, but inside Alembic's transaction."""

import sqlalchemy as sa
from alembic import op

revision = "r2"
down_revision = "r1"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("ix_boxes_shelf", "boxes", ["shelf"], postgresql_concurrently=True)


def downgrade():
    op.drop_index("ix_boxes_shelf", "boxes")
