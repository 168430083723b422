"""Call the nickname a name."""

import sqlalchemy as sa
from alembic import op

revision = "a2"
down_revision = "a1"
branch_labels = None
depends_on = None


def upgrade():
    op.alter_column("animals", "nickname", new_column_name="name")


def downgrade():
    op.alter_column("animals", "name", new_column_name="nickname")
