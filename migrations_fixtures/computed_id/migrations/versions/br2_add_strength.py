"""Add the strength; the id is taken from the name of the file."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = Path(__file__).stem.split("_")[0]
down_revision = "br1"


def upgrade():
    op.add_column("beers", sa.Column("strength", sa.Numeric(3, 1)))


def downgrade():
    op.drop_column("beers", "strength")
