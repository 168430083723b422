"""Merge the phone number and the visits."""

import sqlalchemy as sa
from alembic import op

revision = "m004"
down_revision = ("m002", "m003")
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
