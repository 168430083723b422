"""Drop the table of the first prototype, where it still exists."""

import sqlalchemy as sa
from alembic import op

revision = "o3"
down_revision = "o2"
branch_labels = None
depends_on = None


def upgrade():
    if sa.inspect(op.get_bind()).has_table("nights_prototype"):
        op.drop_table("nights_prototype")


def downgrade():
    pass
