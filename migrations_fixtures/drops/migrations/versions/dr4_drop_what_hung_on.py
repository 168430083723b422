"""Drop the view, the sequence and the type."""

import sqlalchemy as sa
from alembic import op

revision = "dr4"
down_revision = "dr3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP VIEW expensive_lots")
    op.execute("DROP SEQUENCE catalogue_number")
    op.execute("DROP TYPE IF EXISTS paddle_colour")


def downgrade() -> None:
    op.execute("CREATE TYPE paddle_colour AS ENUM ('red', 'blue')")
    op.execute("CREATE SEQUENCE catalogue_number")
    op.execute("CREATE VIEW expensive_lots AS SELECT * FROM lots WHERE estimate > 100000")
