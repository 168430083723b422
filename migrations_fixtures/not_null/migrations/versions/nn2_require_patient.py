"""Require a patient."""

import sqlalchemy as sa
from alembic import op

revision = "nn2"
down_revision = "nn1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("appointments", "patient", existing_type=sa.String(80), nullable=False)


def downgrade() -> None:
    op.alter_column("appointments", "patient", existing_type=sa.String(80), nullable=True)
