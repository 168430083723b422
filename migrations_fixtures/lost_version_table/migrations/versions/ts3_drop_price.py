"""Drop the price."""

import sqlalchemy as sa
from alembic import op

revision = "ts3"
down_revision = "ts2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("tools", "price")


def downgrade() -> None:
    op.add_column("tools", sa.Column("price", sa.Integer()))
