"""Drop the archive with everything in it."""

import sqlalchemy as sa
from alembic import op

revision = "dr5"
down_revision = "dr4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP SCHEMA archive CASCADE")


def downgrade() -> None:
    raise NotImplementedError("The archive is gone.")
