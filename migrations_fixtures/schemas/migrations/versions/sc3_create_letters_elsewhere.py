"""Create a third table of the same name, and drop the second: the names must not be mixed up."""

import sqlalchemy as sa
from alembic import op

revision = "sc3"
down_revision = "sc2"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("CREATE SCHEMA closed")
    op.create_table("letters", sa.Column("id", sa.Integer, primary_key=True), schema="closed")
    op.drop_table("letters", schema="open")


def downgrade():
    op.create_table(
        "letters",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sender", sa.String(80)),
        schema="open",
    )
    op.create_index("ix_letters_sender", "letters", ["sender"], schema="open")
    op.drop_table("letters", schema="closed")
    op.execute("DROP SCHEMA closed")
