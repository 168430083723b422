"""Index subjects: they are new, but no longer empty."""

import sqlalchemy as sa
from alembic import op

revision = "l4"
down_revision = "l3"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("ix_subjects_name", "subjects", ["name"])


def downgrade():
    op.drop_index("ix_subjects_name", "subjects")
