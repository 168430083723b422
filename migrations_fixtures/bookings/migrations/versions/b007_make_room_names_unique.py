"""Make room names unique: people book by name.

Revises: b006
"""

from alembic import op

revision = "b007"
down_revision = "b006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("rooms") as batch:
        batch.create_unique_constraint("uq_rooms_name", ["name"])


def downgrade() -> None:
    with op.batch_alter_table("rooms") as batch:
        batch.drop_constraint("uq_rooms_name", type_="unique")
