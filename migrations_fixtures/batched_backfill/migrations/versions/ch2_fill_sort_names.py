"""Fill in sort names, a thousand singers at a time, each portion committed."""

import sqlalchemy as sa
from alembic import op

revision = "ch2"
down_revision = "ch1"
branch_labels = None
depends_on = None


PORTION = sa.text(
    "UPDATE singers SET sort_name = lower(name)"
    " WHERE id IN (SELECT id FROM singers WHERE sort_name IS NULL LIMIT 1000)"
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        while True:
            if op.get_bind().execute(PORTION).rowcount == 0:
                break


def downgrade() -> None:
    pass
