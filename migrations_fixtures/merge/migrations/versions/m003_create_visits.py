"""Create visits."""

import sqlalchemy as sa
from alembic import op

revision = "m003"
down_revision = "m001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "visits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), sa.ForeignKey("patients.id"), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_visits_patient_id", "visits", ["patient_id"])


def downgrade() -> None:
    op.drop_table("visits")
