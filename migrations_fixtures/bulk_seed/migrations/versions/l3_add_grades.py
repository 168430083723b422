"""Add the grades of the new law."""

import sqlalchemy as sa
from alembic import op

revision = "l3"
down_revision = "l2"
branch_labels = None
depends_on = None


grades = sa.table("grades", sa.column("id", sa.Integer), sa.column("name", sa.String))


def upgrade():
    op.bulk_insert(grades, [{"id": 6, "name": "outstanding"}, {"id": 7, "name": "exempt"}])


def downgrade():
    op.execute(grades.delete().where(grades.c.id.in_([6, 7])))
