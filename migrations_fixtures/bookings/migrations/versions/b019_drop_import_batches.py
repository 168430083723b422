"""Drop the log of imports from the old system.

Revises: b018
"""

import sqlalchemy as sa
from alembic import op

revision = "b019"
down_revision = "b018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("import_batches")


def downgrade() -> None:
    # The table comes back, its rows don't.
    op.create_table(
        "import_batches",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("source", sa.String(80), nullable=False),
        sa.Column(
            "imported_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("row_count", sa.Integer(), nullable=False),
    )
