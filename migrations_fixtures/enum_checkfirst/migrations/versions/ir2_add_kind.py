"""Add the kind of skate."""

import sqlalchemy as sa
from alembic import op

revision = "ir2"
down_revision = "ir1"
branch_labels = None
depends_on = None


from sqlalchemy.dialects import postgresql

kind = postgresql.ENUM("hockey", "figure", name="skate_kind", create_type=False)


def upgrade() -> None:
    kind.create(op.get_bind(), checkfirst=True)
    op.add_column("skates", sa.Column("kind", kind, server_default="hockey", nullable=False))


def downgrade() -> None:
    op.drop_column("skates", "kind")
    kind.drop(op.get_bind(), checkfirst=True)
