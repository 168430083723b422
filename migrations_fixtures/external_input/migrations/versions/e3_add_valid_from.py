"""Drop the old table where the operator says so."""

import os

import sqlalchemy as sa
from alembic import op

revision = "e3"
down_revision = "e2"


def upgrade():
    op.add_column("rates", sa.Column("valid_from", sa.Date))
    if os.environ.get("DROP_OLD_RATES") == "yes":
        op.drop_column("rates", "percent")


def downgrade():
    op.drop_column("rates", "valid_from")
