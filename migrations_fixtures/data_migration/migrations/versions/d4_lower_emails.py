"""Write every address in lower case."""

import sqlalchemy as sa
from alembic import op

revision = "d4"
down_revision = "d3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE subscribers SET email = lower(email)")


def downgrade() -> None:
    pass
