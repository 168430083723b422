"""Allow longer codes and remarks, and higher places: no row is touched."""

import sqlalchemy as sa
from alembic import op

revision = "ty3"
down_revision = "ty2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("stations", "code", existing_type=sa.String(8), type_=sa.String(16))
    op.alter_column("stations", "remark", existing_type=sa.String(100), type_=sa.Text())
    op.alter_column("stations", "height", existing_type=sa.Numeric(6, 1), type_=sa.Numeric(8, 1))


def downgrade() -> None:
    op.alter_column("stations", "height", existing_type=sa.Numeric(8, 1), type_=sa.Numeric(6, 1))
    op.alter_column("stations", "remark", existing_type=sa.Text(), type_=sa.String(100))
    op.alter_column("stations", "code", existing_type=sa.String(16), type_=sa.String(8))
