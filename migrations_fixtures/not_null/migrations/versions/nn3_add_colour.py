"""Add a colour that everybody must have, with a default."""

import sqlalchemy as sa
from alembic import op

revision = "nn3"
down_revision = "nn2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "appointments", sa.Column("colour", sa.String(10), server_default="grey", nullable=False)
    )


def downgrade() -> None:
    op.drop_column("appointments", "colour")
