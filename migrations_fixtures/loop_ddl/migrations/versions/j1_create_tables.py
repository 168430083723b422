"""Create houses, rooms and minibars."""

import sqlalchemy as sa
from alembic import op

revision = "j1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    for name in ("houses", "rooms", "minibars"):
        op.create_table(
            name,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("name", sa.String(60), nullable=False),
            sa.Column("old_id", sa.Integer),
        )


def downgrade():
    for name in ("minibars", "rooms", "houses"):
        op.drop_table(name)
