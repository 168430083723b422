"""Create repairs."""

import sqlalchemy as sa
from alembic import op

revision = "u01"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "repairs",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column(
            "state", sa.Enum("new", "waiting", "done", name="repair_state"), nullable=False
        ),
        sa.Column("priority", sa.String(10), server_default="normal", nullable=False),
    )


def downgrade() -> None:
    op.drop_table("repairs")
    op.execute("DROP TYPE repair_state")
