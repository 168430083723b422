"""Drop the year 2025."""

import sqlalchemy as sa
from alembic import op

revision = "pa4"
down_revision = "pa3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("crossings_2025")


def downgrade() -> None:
    op.execute("CREATE TABLE crossings_2025 (at date NOT NULL, plate text)")
