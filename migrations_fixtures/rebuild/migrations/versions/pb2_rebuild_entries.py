"""Write the table anew, so that SQLite forgets old definitions."""

import sqlalchemy as sa
from alembic import op

revision = "pb2"
down_revision = "pb1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("entries", recreate="always"):
        pass


def downgrade() -> None:
    pass
