"""Create articles."""

import sqlalchemy as sa
from alembic import op

revision = "ed01"
down_revision = None
branch_labels = ("editorial",)
depends_on = None


def upgrade():
    op.create_table(
        "articles",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("headline", sa.Text, nullable=False),
        sa.Column("teaser", sa.Text),
    )


def downgrade():
    op.drop_table("articles")
