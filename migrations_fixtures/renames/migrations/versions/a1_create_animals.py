"""Create animals."""

import sqlalchemy as sa
from alembic import op

revision = "a1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "animals",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("nickname", sa.String(40), nullable=False),
    )
    op.create_index("ix_nickname", "animals", ["nickname"])


def downgrade():
    op.drop_table("animals")
