"""Require a body."""

import sqlalchemy as sa
from alembic import op

revision = "n04"
down_revision = "n03"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("notes") as batch:
        batch.alter_column("body", existing_type=sa.Text(), nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("notes") as batch:
        batch.alter_column("body", existing_type=sa.Text(), nullable=True)
