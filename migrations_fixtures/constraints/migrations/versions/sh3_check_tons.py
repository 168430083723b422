"""Check tons, and let no two ports share a name."""

import sqlalchemy as sa
from alembic import op

revision = "sh3"
down_revision = "sh2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("ships") as batch:
        batch.create_check_constraint("tons_positive", "tons > 0")
    with op.batch_alter_table("ports") as batch:
        batch.create_unique_constraint(None, ["name"])


def downgrade() -> None:
    with op.batch_alter_table("ports") as batch:
        batch.drop_constraint("uq_ports_name", type_="unique")
    with op.batch_alter_table("ships") as batch:
        batch.drop_constraint(op.f("ck_ships_tons_positive"), type_="check")
