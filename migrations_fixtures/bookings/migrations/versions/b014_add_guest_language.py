"""Add the language a guest is written to in.

Revises: b013
"""

import sqlalchemy as sa
from alembic import op

revision = "b014"
down_revision = "b013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "guests", sa.Column("language", sa.String(8), server_default="en", nullable=False)
    )


def downgrade() -> None:
    with op.batch_alter_table("guests") as batch:
        batch.drop_column("language")
