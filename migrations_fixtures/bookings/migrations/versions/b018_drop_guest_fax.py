"""Drop the fax number: nobody has sent one since 2019.

Revises: b017
"""

import sqlalchemy as sa
from alembic import op

revision = "b018"
down_revision = "b017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("guests") as batch:
        batch.drop_column("fax")


def downgrade() -> None:
    # The column comes back, the numbers don't.
    op.add_column("guests", sa.Column("fax", sa.String(40), nullable=True))
