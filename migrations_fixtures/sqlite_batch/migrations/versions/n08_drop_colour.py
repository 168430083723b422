"""Drop the colour."""

import sqlalchemy as sa
from alembic import op

revision = "n08"
down_revision = "n07"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("notes") as batch:
        batch.drop_column("colour")


def downgrade() -> None:
    with op.batch_alter_table("notes") as batch:
        batch.add_column(sa.Column("colour", sa.String(10), nullable=True))
