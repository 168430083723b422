"""Check that there are at most five stars."""

import sqlalchemy as sa
from alembic import op

revision = "n07"
down_revision = "n06"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("notes") as batch:
        batch.create_check_constraint("ck_notes_stars", "stars <= 5")


def downgrade() -> None:
    with op.batch_alter_table("notes") as batch:
        batch.drop_constraint("ck_notes_stars", type_="check")
