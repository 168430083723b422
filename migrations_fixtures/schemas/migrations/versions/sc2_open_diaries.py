"""Create diaries in the public part, and index letters in both."""

import sqlalchemy as sa
from alembic import op

revision = "sc2"
down_revision = "sc1"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table("diaries", sa.Column("id", sa.Integer, primary_key=True), schema="open")
    op.add_column("diaries", sa.Column("writer", sa.String(80), nullable=False), schema="open")
    op.create_index("ix_diaries_writer", "diaries", ["writer"], schema="open")
    op.create_index("ix_letters_sender", "letters", ["sender"])
    op.create_index("ix_letters_sender", "letters", ["sender"], schema="open")


def downgrade():
    op.drop_index("ix_letters_sender", "letters", schema="open")
    op.drop_index("ix_letters_sender", "letters")
    op.drop_table("diaries", schema="open")
