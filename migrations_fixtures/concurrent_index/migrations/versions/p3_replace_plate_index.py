"""Index the plate together with the end of the stay, and drop the index it replaces."""

import sqlalchemy as sa
from alembic import op

revision = "p3"
down_revision = "p2"
branch_labels = None
depends_on = None


def upgrade():
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_stays_plate_left_at", "stays", ["plate", "left_at"], postgresql_concurrently=True
        )
        op.drop_index("ix_stays_plate", "stays", postgresql_concurrently=True)


def downgrade():
    with op.get_context().autocommit_block():
        op.create_index("ix_stays_plate", "stays", ["plate"], postgresql_concurrently=True)
        op.drop_index("ix_stays_plate_left_at", "stays", postgresql_concurrently=True)
