"""Create subjects, with the first ones in it."""

import sqlalchemy as sa
from alembic import op

revision = "l2"
down_revision = "l1"
branch_labels = None
depends_on = None


def upgrade():
    subjects = op.create_table(
        "subjects",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(40), nullable=False),
    )
    op.bulk_insert(subjects, [{"id": 1, "name": "Music"}, {"id": 2, "name": "History"}])


def downgrade():
    op.drop_table("subjects")
