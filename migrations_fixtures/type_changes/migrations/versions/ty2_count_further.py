"""Count readings beyond two thousand million."""

import sqlalchemy as sa
from alembic import op

revision = "ty2"
down_revision = "ty1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("stations", "readings", existing_type=sa.Integer(), type_=sa.BigInteger())


def downgrade() -> None:
    op.alter_column("stations", "readings", existing_type=sa.BigInteger(), type_=sa.Integer())
