"""Point ships at ports."""

import sqlalchemy as sa
from alembic import op

revision = "sh2"
down_revision = "sh1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("ships") as batch:
        batch.create_foreign_key(None, "ports", ["port_id"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("ships") as batch:
        batch.drop_constraint("fk_ships_port_id", type_="foreignkey")
