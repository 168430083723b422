"""Take the first name out of the name, subscriber by subscriber."""

import sqlalchemy as sa
from alembic import op

revision = "d3"
down_revision = "d2"
branch_labels = None
depends_on = None


subscribers = sa.table(
    "subscribers", sa.column("id"), sa.column("name"), sa.column("first_name")
)


def upgrade() -> None:
    bind = op.get_bind()
    for row in bind.execute(sa.select(subscribers.c.id, subscribers.c.name)).fetchall():
        first = row.name.split()[0].title()
        bind.execute(
            subscribers.update().where(subscribers.c.id == row.id).values(first_name=first)
        )


def downgrade() -> None:
    op.execute(subscribers.update().values(first_name=None))
