"""Index titles (written on another branch in the same week)."""

import sqlalchemy as sa
from alembic import op

revision = "1b02"
down_revision = "1a01"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("ix_books_title", "books", ["title"])


def downgrade():
    op.drop_index("ix_books_title", "books")
