"""Drop the poster."""

import sqlalchemy as sa
from alembic import op

revision = "ve2"
down_revision = "ve1"
branch_labels = None
depends_on = None


def upgrade():
    op.drop_column("shows", "poster")


def downgrade():
    op.add_column("shows", sa.Column("poster", sa.String(200)))
