"""Create the papers."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "wf1", None


def upgrade():
    op.create_table(
        "papers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(40)),
        sa.Column("weight", sa.Integer),
    )


def downgrade():
    op.drop_table("papers")
