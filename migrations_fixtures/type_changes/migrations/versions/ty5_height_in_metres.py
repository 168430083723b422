"""Keep whole metres only."""

import sqlalchemy as sa
from alembic import op

revision = "ty5"
down_revision = "ty4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column(
        "stations",
        "height",
        existing_type=sa.Numeric(8, 1),
        type_=sa.Integer(),
        postgresql_using="round(height)::integer",
    )


def downgrade() -> None:
    op.alter_column("stations", "height", existing_type=sa.Integer(), type_=sa.Numeric(8, 1))
