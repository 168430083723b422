"""Add a note to an order."""

import sqlalchemy as sa
from alembic import op

revision = "51c1"
down_revision = "51c0"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("orders", sa.Column("note", sa.Text))


def downgrade():
    op.drop_column("orders", "note")
