"""Make the IMO number the key."""

import sqlalchemy as sa
from alembic import op

revision = "sh4"
down_revision = "sh3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("ships") as batch:
        batch.create_primary_key("pk_ships", ["imo"])


def downgrade() -> None:
    with op.batch_alter_table("ships") as batch:
        batch.drop_constraint("pk_ships", type_="primary")
