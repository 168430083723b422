"""Let the index have the name that the convention gives."""

import sqlalchemy as sa
from alembic import op

revision = "a4"
down_revision = "a3"
branch_labels = None
depends_on = None


def upgrade():
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER INDEX ix_nickname RENAME TO ix_residents_name")


def downgrade():
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER INDEX ix_residents_name RENAME TO ix_nickname")
