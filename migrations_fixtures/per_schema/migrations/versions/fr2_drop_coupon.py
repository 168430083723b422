"""Drop the coupon."""

import sqlalchemy as sa
from alembic import op

revision = "fr2"
down_revision = "fr1"
branch_labels = None
depends_on = None


def upgrade():
    op.drop_column("sales", "coupon")


def downgrade():
    op.add_column("sales", sa.Column("coupon", sa.String(20)))
