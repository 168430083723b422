"""Forget addresses of a provider that is gone."""

import sqlalchemy as sa
from alembic import op

revision = "d5"
down_revision = "d4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    gone = connection.execute(
        sa.text("SELECT count(*) FROM subscribers WHERE email LIKE :pattern"),
        {"pattern": "%@gone.example"},
    ).scalar()
    if gone > 0:
        connection.execute(sa.text("DELETE FROM subscribers WHERE email LIKE '%@gone.example'"))


def downgrade() -> None:
    raise NotImplementedError
