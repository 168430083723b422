"""The application fills in room and colour: no defaults any more."""

import sqlalchemy as sa
from alembic import op

revision = "nn4"
down_revision = "nn3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("appointments", "room", server_default=None)
    op.alter_column("appointments", "colour", server_default=None)


def downgrade() -> None:
    op.alter_column("appointments", "colour", server_default="grey")
    op.alter_column("appointments", "room", server_default="1")
