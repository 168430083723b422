"""Create routes from a table object, and drop walls the same way."""

import sqlalchemy as sa
from alembic import op

revision = "cl2"
down_revision = "cl1"
branch_labels = None
depends_on = None


metadata = sa.MetaData()
sa.Table(
    "routes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("grade", sa.String(5), nullable=False, index=True),
)
old = sa.MetaData()
sa.Table("walls", old, sa.Column("id", sa.Integer, primary_key=True))


def upgrade():
    metadata.create_all(op.get_bind())
    old.drop_all(op.get_bind())


def downgrade():
    old.create_all(op.get_bind(), checkfirst=False)
    metadata.drop_all(op.get_bind(), checkfirst=False)
