"""Number the transfers."""

import sqlalchemy as sa
from alembic import op

revision = "rw4"
down_revision = "rw3"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("transfers", sa.Column("number", sa.BigInteger, sa.Identity(), nullable=False))
    op.execute("ALTER TABLE transfers ADD COLUMN position serial")


def downgrade():
    op.drop_column("transfers", "position")
    op.drop_column("transfers", "number")
