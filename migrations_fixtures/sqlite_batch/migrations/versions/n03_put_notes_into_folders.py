"""Put notes into folders."""

import sqlalchemy as sa
from alembic import op

revision = "n03"
down_revision = "n02"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("notes") as batch:
        batch.add_column(sa.Column("folder_id", sa.Integer(), nullable=True))
        batch.create_foreign_key("fk_notes_folder_id", "folders", ["folder_id"], ["id"])
        batch.create_index("ix_notes_folder_id", ["folder_id"])


def downgrade() -> None:
    with op.batch_alter_table("notes") as batch:
        batch.drop_index("ix_notes_folder_id")
        batch.drop_constraint("fk_notes_folder_id", type_="foreignkey")
        batch.drop_column("folder_id")
