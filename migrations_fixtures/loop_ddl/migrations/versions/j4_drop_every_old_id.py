"""Index every table that the database has."""

import sqlalchemy as sa
from alembic import op

revision = "j4"
down_revision = "j3"
branch_labels = None
depends_on = None


def upgrade():
    for table in sorted(sa.inspect(op.get_bind()).get_table_names()):
        if table != "alembic_version":
            op.create_index(f"ix_{table}_name", table, ["name"])


def downgrade():
    for table in sorted(sa.inspect(op.get_bind()).get_table_names()):
        if table != "alembic_version":
            op.drop_index(f"ix_{table}_name", table)
