"""Let stars be fractions."""

import sqlalchemy as sa
from alembic import op

revision = "n05"
down_revision = "n04"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("notes") as batch:
        batch.alter_column("stars", existing_type=sa.Integer(), type_=sa.Numeric(3, 1))


def downgrade() -> None:
    with op.batch_alter_table("notes") as batch:
        batch.alter_column("stars", existing_type=sa.Numeric(3, 1), type_=sa.Integer())
