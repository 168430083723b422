"""Drop the date of birth: the insurer keeps it."""

import sqlalchemy as sa
from alembic import op

revision = "m005"
down_revision = "m004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("patients", "born_on")


def downgrade() -> None:
    op.add_column("patients", sa.Column("born_on", sa.Date(), nullable=True))
