"""Drop bids: they live in another service now."""

import sqlalchemy as sa
from alembic import op

revision = "dr2"
down_revision = "dr1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("bids")


def downgrade() -> None:
    op.create_table(
        "bids",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("lot_id", sa.Integer(), sa.ForeignKey("lots.id"), nullable=False),
        sa.Column("cents", sa.Integer(), nullable=False),
    )
