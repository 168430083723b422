"""Create lots, bids and what hangs on them."""

import sqlalchemy as sa
from alembic import op

revision = "dr1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lots",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("title", sa.String(120), nullable=False),
        sa.Column("estimate", sa.Integer(), nullable=True),
    )
    op.create_table(
        "bids",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("lot_id", sa.Integer(), sa.ForeignKey("lots.id"), nullable=False),
        sa.Column("cents", sa.Integer(), nullable=False),
    )
    op.create_table("clicks", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("CREATE SEQUENCE catalogue_number")
    op.execute("CREATE VIEW expensive_lots AS SELECT * FROM lots WHERE estimate > 100000")
    op.execute("CREATE TYPE paddle_colour AS ENUM ('red', 'blue')")
    op.execute("CREATE SCHEMA archive")
    op.execute("CREATE TABLE archive.lots (id integer PRIMARY KEY)")


def downgrade() -> None:
    op.execute("DROP SCHEMA archive CASCADE")
    op.execute("DROP TYPE paddle_colour")
    op.execute("DROP VIEW expensive_lots")
    op.execute("DROP SEQUENCE catalogue_number")
    op.drop_table("clicks")
    op.drop_table("bids")
    op.drop_table("lots")
