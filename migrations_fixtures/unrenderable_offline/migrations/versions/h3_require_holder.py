"""Drop the holder when nobody uses it."""

import sqlalchemy as sa
from alembic import op

revision = "h3"
down_revision = "h2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    named = op.get_bind().scalar(sa.text("SELECT count(*) FROM tickets WHERE holder IS NOT NULL"))
    if not named:
        op.drop_column("tickets", "holder")


def downgrade() -> None:
    columns = sa.inspect(op.get_bind()).get_columns("tickets")
    if not any(column["name"] == "holder" for column in columns):
        op.add_column("tickets", sa.Column("holder", sa.String(80)))
