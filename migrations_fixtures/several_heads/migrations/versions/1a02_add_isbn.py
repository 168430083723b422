"""Add the ISBN."""

import sqlalchemy as sa
from alembic import op

revision = "1a02"
down_revision = "1a01"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("books", sa.Column("isbn", sa.String(13)))


def downgrade():
    op.drop_column("books", "isbn")
