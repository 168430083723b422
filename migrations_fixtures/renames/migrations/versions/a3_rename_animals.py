"""Call animals residents."""

import sqlalchemy as sa
from alembic import op

revision = "a3"
down_revision = "a2"
branch_labels = None
depends_on = None


def upgrade():
    op.rename_table("animals", "residents")


def downgrade():
    op.rename_table("residents", "animals")
