"""Add the vessel, with a helper that Alembic never had."""

import sqlalchemy as sa
from alembic import op

revision = "f2"
down_revision = "f1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("crossings", sa.Column("vessel", sa.String(40)))
    op.create_fulltext_index("crossings", ["vessel"])


def downgrade() -> None:
    op.drop_column("crossings", "vessel")
