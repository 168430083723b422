"""Add the level, and index it at once."""

import sqlalchemy as sa
from alembic import op

revision = "p4"
down_revision = "p3"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("stays", sa.Column("level", sa.Integer))
    with op.get_context().autocommit_block():
        op.create_index("ix_stays_level", "stays", ["level"], postgresql_concurrently=True)


def downgrade():
    op.drop_column("stays", "level")
