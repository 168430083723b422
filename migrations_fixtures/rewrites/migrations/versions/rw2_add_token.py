"""Give every transfer a token that the database makes up."""

import sqlalchemy as sa
from alembic import op

revision = "rw2"
down_revision = "rw1"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column(
        "transfers",
        sa.Column("token", sa.Uuid, server_default=sa.text("gen_random_uuid()"), nullable=False),
    )


def downgrade():
    op.drop_column("transfers", "token")
