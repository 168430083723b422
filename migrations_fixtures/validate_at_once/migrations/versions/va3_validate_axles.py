"""Validate the check."""

import sqlalchemy as sa
from alembic import op

revision = "va3"
down_revision = "va2"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("ALTER TABLE cars VALIDATE CONSTRAINT ck_cars_axles")


def downgrade():
    pass
