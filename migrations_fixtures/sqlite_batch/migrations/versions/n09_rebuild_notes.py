"""Write the table anew, so that SQLite forgets old definitions."""

import sqlalchemy as sa
from alembic import op

revision = "n09"
down_revision = "n08"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("notes", recreate="always"):
        pass


def downgrade() -> None:
    pass
