"""Drop the teaser."""

import sqlalchemy as sa
from alembic import op

revision = "ed02"
down_revision = "ed01"
branch_labels = None
depends_on = None


def upgrade():
    op.drop_column("articles", "teaser")


def downgrade():
    op.add_column("articles", sa.Column("teaser", sa.Text))
