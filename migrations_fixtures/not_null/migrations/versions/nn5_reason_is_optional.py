"""A reason need not be given, and the default room is two."""

import sqlalchemy as sa
from alembic import op

revision = "nn5"
down_revision = "nn4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("appointments", "reason", existing_type=sa.Text(), nullable=True)
    op.alter_column("appointments", "room", server_default="2")


def downgrade() -> None:
    op.alter_column("appointments", "room", server_default=None)
    op.alter_column("appointments", "reason", existing_type=sa.Text(), nullable=False)
