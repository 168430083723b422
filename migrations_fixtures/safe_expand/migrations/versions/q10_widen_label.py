"""Allow longer labels: PostgreSQL only changes its catalogue."""

import sqlalchemy as sa
from alembic import op

revision = "q10"
down_revision = "q09"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column(
        "parcels", "label", existing_type=sa.String(40), type_=sa.String(80), existing_nullable=True
    )
    op.alter_column("parcels", "label", existing_type=sa.String(80), type_=sa.Text())


def downgrade() -> None:
    op.alter_column("parcels", "label", existing_type=sa.Text(), type_=sa.String(40))
