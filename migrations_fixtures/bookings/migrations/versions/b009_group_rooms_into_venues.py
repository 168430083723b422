"""Group rooms into venues.

Revises: b008
"""

import sqlalchemy as sa
from alembic import op

revision = "b009"
down_revision = "b008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "venues",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("city", sa.String(80), nullable=False),
    )
    with op.batch_alter_table("rooms") as batch:
        batch.add_column(sa.Column("venue_id", sa.Integer(), nullable=True))
        batch.create_foreign_key("fk_rooms_venue_id_venues", "venues", ["venue_id"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("rooms") as batch:
        batch.drop_constraint("fk_rooms_venue_id_venues", type_="foreignkey")
        batch.drop_column("venue_id")
    op.drop_table("venues")
