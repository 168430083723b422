"""Create letters, and a schema for what is public."""

import sqlalchemy as sa
from alembic import op

revision = "sc1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.execute("CREATE SCHEMA open")
    for schema in (None, "open"):
        op.create_table(
            "letters",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("sender", sa.String(80)),
            schema=schema,
        )


def downgrade():
    op.drop_table("letters", schema="open")
    op.drop_table("letters")
    op.execute("DROP SCHEMA open")
