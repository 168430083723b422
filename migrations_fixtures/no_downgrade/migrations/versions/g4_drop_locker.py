"""Drop the locker: members pick one on the day."""

import sqlalchemy as sa
from alembic import op

revision = "g4"
down_revision = "g3"
branch_labels = None
depends_on = None


def upgrade():
    op.drop_column("members", "locker")


def downgrade():
    raise RuntimeError("The locker numbers are gone; restore the backup.")
