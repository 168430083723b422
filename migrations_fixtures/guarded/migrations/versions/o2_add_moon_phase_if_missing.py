"""Add the phase of the moon where it is missing."""

import sqlalchemy as sa
from alembic import op

revision = "o2"
down_revision = "o1"
branch_labels = None
depends_on = None


def has_column(table: str, column: str) -> bool:
    inspector = sa.inspect(op.get_bind())
    return any(known["name"] == column for known in inspector.get_columns(table))


def upgrade():
    if not has_column("nights", "moon_phase"):
        op.add_column("nights", sa.Column("moon_phase", sa.Float))


def downgrade():
    if has_column("nights", "moon_phase"):
        op.drop_column("nights", "moon_phase")
