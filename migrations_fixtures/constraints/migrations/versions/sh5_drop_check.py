"""Lift the check on tons."""

import sqlalchemy as sa
from alembic import op

revision = "sh5"
down_revision = "sh4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("ships") as batch:
        batch.drop_constraint(op.f("ck_ships_tons_positive"), type_="check")


def downgrade() -> None:
    with op.batch_alter_table("ships") as batch:
        batch.create_check_constraint("tons_positive", "tons > 0")
