"""Give the year a default, with the table written down as it was remembered."""

import sqlalchemy as sa
from alembic import op

revision = "al2"
down_revision = "al1"
branch_labels = None
depends_on = None


stamps = sa.Table(
    "stamps",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("country", sa.String(40), nullable=False),
    sa.Column("year", sa.Integer),
)


def upgrade():
    with op.batch_alter_table("stamps", copy_from=stamps) as batch:
        batch.alter_column("year", server_default="1900")


def downgrade():
    with op.batch_alter_table("stamps") as batch:
        batch.alter_column("year", server_default=None)
